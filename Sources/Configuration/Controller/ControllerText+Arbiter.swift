import Wire

/// `arbiter` of a controller file.
extension ControllerSections {
    private static let kinds = ["lease-file", "witness", "etcd"]

    var arbiter: Section<ArbiterParts> {
        Section(
            ArbiterParts(), foreign: ["leasefile": "lease-file"],
            short: .init(values: "link: the pair itself") { field, _ in
                switch field.scalar {
                case "lease-file": field.error("the lease file needs its path; write {lease-file: PATH}")
                case "witness": field.error("the witness needs its address; write {witness: {address: …, key-file: …}}")
                case "etcd": field.error("etcd needs its endpoints; write {etcd: {endpoints: […]}}")
                default: _ = field.choice(["link"])
                }
                return true
            }
        ) {
            Setting("lease-file", \.leaseFile, path, "Two controllers on one machine: a file on a local file system.")
            Setting("witness", in: \.witness, "A lockstep-witness on a third host.") { _ in witness }
            Setting("etcd", in: \.etcd, "An etcd cluster.") { _ in etcd }
            Setting(
                "lease", \.lease, .duration(.milliseconds(10)...(.seconds(10))),
                "With lease-file: how long a frozen active may still believe in itself.")
        } check: { _, fields in
            let given = Self.kinds.filter { fields[$0] != nil }
            switch given.first {
            case nil: _ = fields.required("lease-file")
            case _ where given.count > 1: fields.field.error("write only one of \(given.joined(separator: " and "))")
            case "etcd": fields["lease"]?.error("write ttl, inside etcd")
            case "witness": fields["lease"]?.error("write lease inside witness")
            default: break
            }
        }
    }

    private var witness: Section<WitnessVoteConfiguration> {
        Section(
            WitnessVoteConfiguration(address: .v4(.any), keyFiles: []),
            foreign: [
                "key": "key-file: PATH, the key itself does not belong here", "host": "address", "ttl": "lease",
            ]
        ) {
            Setting("address", \.address, .address, "Where it listens.").required("where the witness listens")
            Setting("port", \.port, .number(1...65535, "a port"), "TCP.")
            Setting("key-file", \.keyFiles, keyFiles, "The secret that this pair shares with the witness.")
                .required("the secret that this pair shares with the witness")
            Setting(
                "lease", \.lease, .duration(.milliseconds(100)...(.seconds(60))),
                "How long an active may go on alone without the witness.")
        }
    }

    private var etcd: Section<EtcdVoteConfiguration> {
        var ttl = Kind<UInt16>.seconds(2...60)
        ttl.read = { field in
            guard let time = field.duration(.seconds(2)...(.seconds(60))) else { return nil }
            guard time.components.attoseconds == 0 else { return field.wrong("etcd knows whole seconds only") }
            return UInt16(time.components.seconds)
        }
        return Section(
            EtcdVoteConfiguration(endpoints: []),
            foreign: [
                "endpoint": "endpoints", "cacert": "authority", "cert": "certificate", "key": "private-key", "lease": "ttl",
                "password": "password-file: PATH, the password itself does not belong here", "username": "user",
            ]
        ) {
            Setting("endpoints", \.endpoints, Self.endpoints, "The cluster's members.")
                .required("the cluster's members, as https://ADDRESS:2379")
            Setting("prefix", \.prefix, Self.prefix, "The pair's keys are PREFIX/PAIR/….")
            Setting("ttl", \.ttl, ttl, "How long an active may go on alone without the cluster.")
            Setting("authority", \.authority, path, "Who signed the members' certificates; the host's authorities otherwise.")
            Setting("certificate", \.certificate, path, "Ours, if the cluster wants one; together with private-key.")
            Setting("private-key", \.privateKey, path, "Ours.")
            Setting("user", \.user, .text(1...256, "a name"), "Together with password-file.")
            Setting("password-file", \.passwordFile, path, "Its password.")
        } check: { etcd, fields in
            if (fields["certificate"] == nil) != (fields["private-key"] == nil) {
                fields.field.error("certificate and private-key belong together")
            }
            if (fields["user"] == nil) != (fields["password-file"] == nil) {
                fields.field.error("user and password-file belong together")
            }
            guard etcd.endpoints.allSatisfy({ $0.hasPrefix("http:") }) else { return }
            if let file = fields["authority"] ?? fields["certificate"] {
                file.error("without https in endpoints there is no TLS")
            } else {
                fields["endpoints"]?.warn(
                    "whoever can reach the cluster or the way to it can decide who is the router; write https")
            }
        }
    }

    private static var endpoints: Kind<[String]> {
        Kind(values: "https://ADDRESS:2379, or a list of at most 9", read: { readEndpoints($0) }, text: { "\($0)" })
    }

    private static func readEndpoints(_ field: Field) -> [String]? {
        guard let list = field.list(atMost: 9) else { return nil }
        if list.isEmpty { return field.wrong("at least one member is needed") }
        var result: [String] = []
        for item in list {
            guard let text = item.text(1...256, "a URL") else { continue }
            let scheme = ["https://", "http://"].first { text.hasPrefix($0) }
            let rest = scheme.map { text.dropFirst($0.count) } ?? ""
            let trimmed = rest.hasSuffix("/") ? rest.dropLast() : rest
            guard let scheme, !trimmed.isEmpty, !trimmed.contains(where: { "/?#@ ".contains($0) }),
                let colon = trimmed.lastIndex(of: ":"), colon > trimmed.startIndex,
                UInt16(trimmed[trimmed.index(after: colon)...]).map({ $0 > 0 }) ?? false
            else {
                item.error("'\(text.prefix(60))' is no endpoint; write https://ADDRESS:2379")
                continue
            }
            let endpoint = scheme + trimmed
            if result.contains(endpoint) { item.error("\(endpoint) is there twice") }
            result.append(endpoint)
        }
        let schemes = Set(result.map { $0.prefix { $0 != ":" } })
        if schemes.count > 1 { return field.wrong("all members are reached by https or all by http") }
        return result.count == list.count ? result : nil
    }

    private static var prefix: Kind<String> {
        Kind("/NAME") { field in
            guard let text = field.text(1...128, "a prefix") else { return nil }
            guard text.hasPrefix("/"), !text.hasSuffix("/"), text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
                return field.wrong("'\(text)' is no prefix; write one as /lockstep, with a slash before it and none behind")
            }
            return text
        }
    }
}

/// An arbiter as the text has it: at most one of the three.
struct ArbiterParts: Equatable {
    var leaseFile: String?
    var lease = Duration.milliseconds(50)
    var witness: WitnessVoteConfiguration?
    var etcd: EtcdVoteConfiguration?
}

extension ControllerFile {
    var arbiterParts: ArbiterParts {
        get {
            var parts = ArbiterParts()
            switch arbiter {
            case .link: break
            case .leaseFile(let path, let lease): (parts.leaseFile, parts.lease) = (path, lease)
            case .witness(let witness): parts.witness = witness
            case .etcd(let etcd): parts.etcd = etcd
            }
            return parts
        }
        set {
            arbiter =
                newValue.witness.map { .witness($0) } ?? newValue.etcd.map { .etcd($0) }
                ?? newValue.leaseFile.map { .leaseFile(path: $0, lease: newValue.lease) } ?? .link
        }
    }
}
