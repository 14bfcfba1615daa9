import Wire

/// `arbiter` of a controller file.
extension ControllerTextReader {
    private static let kinds = ["lease-file", "witness", "etcd"]

    func arbiter(_ field: Field) -> ArbiterConfiguration? {
        guard field.isMapping else {
            switch field.scalar {
            case "lease-file": return field.wrong("the lease file needs its path; write {lease-file: PATH}")
            case "witness": return field.wrong("the witness needs its address; write {witness: {address: …, key-file: …}}")
            case "etcd": return field.wrong("etcd needs its endpoints; write {etcd: {endpoints: […]}}")
            default: return field.choice(["link"]).map { _ in .link }
            }
        }
        guard let mapping = MappingReader(field, keys: Self.kinds + ["lease"], foreign: ["leasefile": "lease-file"]) else {
            return nil
        }
        let given = Self.kinds.filter { mapping[$0] != nil }
        guard given.count <= 1 else { return field.wrong("write only one of \(given.joined(separator: " and "))") }
        if given.first != "lease-file", given.count == 1, let lease = mapping["lease"] {
            lease.error(given == ["etcd"] ? "write ttl, inside etcd" : "write lease inside witness")
        }
        switch given.first {
        case "witness": return mapping["witness"].flatMap { witness($0) }.map { .witness($0) }
        case "etcd": return mapping["etcd"].flatMap { etcd($0) }.map { .etcd($0) }
        default:
            guard let file = mapping.required("lease-file").flatMap({ path($0) }) else { return nil }
            let lease = mapping["lease"].map { $0.duration(.milliseconds(10)...(.seconds(10))) } ?? .milliseconds(50)
            return lease.map { .leaseFile(path: file, lease: $0) }
        }
    }

    private func witness(_ field: Field) -> WitnessVoteConfiguration? {
        guard
            let mapping = MappingReader(
                field, keys: ["address", "port", "key-file", "lease"],
                foreign: [
                    "key": "key-file: PATH, the key itself does not belong here", "host": "address", "ttl": "lease",
                ])
        else { return nil }
        let address = mapping.required("address", "where the witness listens").flatMap { $0.address() }
        let keys = mapping.required("key-file", "the secret that this pair shares with the witness").flatMap { keyFiles($0) }
        let port = mapping["port"]?.number(1...65535 as ClosedRange<UInt16>, "a port")
        let lease = mapping["lease"]?.duration(.milliseconds(100)...(.seconds(60)))
        guard let address, let keys else { return nil }
        var result = WitnessVoteConfiguration(address: address, keyFiles: keys)
        if let port { result.port = port }
        if let lease { result.lease = lease }
        return result
    }

    private func etcd(_ field: Field) -> EtcdVoteConfiguration? {
        let keys = ["endpoints", "prefix", "ttl", "authority", "certificate", "private-key", "user", "password-file"]
        guard
            let mapping = MappingReader(
                field, keys: keys,
                foreign: [
                    "endpoint": "endpoints", "cacert": "authority", "cert": "certificate", "key": "private-key", "lease": "ttl",
                    "password": "password-file: PATH, the password itself does not belong here", "username": "user",
                ])
        else { return nil }
        let endpoints = mapping.required("endpoints", "the cluster's members, as https://ADDRESS:2379")
            .flatMap { self.endpoints($0) }
        let prefix = mapping["prefix"].flatMap { self.prefix($0) }
        let ttl = mapping["ttl"].flatMap { ttl -> UInt16? in
            guard let time = ttl.duration(.seconds(2)...(.seconds(60))) else { return nil }
            guard time.components.attoseconds == 0 else { return ttl.wrong("etcd knows whole seconds only") }
            return UInt16(time.components.seconds)
        }
        guard let endpoints else { return nil }
        var result = EtcdVoteConfiguration(endpoints: endpoints)
        if let prefix { result.prefix = prefix }
        if let ttl { result.ttl = ttl }
        result.authority = mapping["authority"].flatMap { path($0) }
        result.certificate = mapping["certificate"].flatMap { path($0) }
        result.privateKey = mapping["private-key"].flatMap { path($0) }
        result.user = mapping["user"]?.text(1...256, "a name")
        result.passwordFile = mapping["password-file"].flatMap { path($0) }
        if (mapping["certificate"] == nil) != (mapping["private-key"] == nil) {
            field.error("certificate and private-key belong together")
        }
        if (mapping["user"] == nil) != (mapping["password-file"] == nil) {
            field.error("user and password-file belong together")
        }
        let isPlain = endpoints.allSatisfy { $0.hasPrefix("http:") }
        if isPlain, let file = mapping["authority"] ?? mapping["certificate"] {
            file.error("without https in endpoints there is no TLS")
        } else if isPlain {
            mapping["endpoints"]?.warn("whoever can reach the cluster or the way to it can decide who is the router; write https")
        }
        return result
    }

    private func endpoints(_ field: Field) -> [String]? {
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

    private func prefix(_ field: Field) -> String? {
        guard let text = field.text(1...128, "a prefix") else { return nil }
        guard text.hasPrefix("/"), !text.hasSuffix("/"), text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            return field.wrong("'\(text)' is no prefix; write one as /lockstep, with a slash before it and none behind")
        }
        return text
    }
}
