import Wire

/// Key chains, and BFD.
extension FRRReader {
    private mutating func key(_ change: (inout Mapping) -> Void) {
        guard case .key(let chain, let id) = context else { return }
        change(&draft.keyChains[mapping: chain][element: "keys", "id", id])
    }

    static let keyRules: [Rule] = [
        Rule("key-string *") { r, found in r.key { $0["secret"] = .text(found[0]) } },
        Rule("cryptographic-algorithm *") { r, found in
            let known = [
                "md5": "md5", "hmac-sha-1": "hmac-sha-1", "hmac-sha-256": "hmac-sha-256", "hmac-sha-384": "hmac-sha-384",
                "hmac-sha-512": "hmac-sha-512",
            ]
            guard let algorithm = known[found[0]] else { throw Unmapped("'\(found[0])' is no algorithm that is known here") }
            r.key { $0["algorithm"] = .scalar(algorithm) }
        },
        Rule("send-lifetime ...") { _, _ in throw Unmapped("write the times as 2027-01-01T00:00:00Z under send") },
        Rule("accept-lifetime ...") { _, _ in throw Unmapped("write the times as 2027-01-01T00:00:00Z under accept") },
    ]

    mutating func openBFDPeer(_ address: String, _ words: [String]) throws {
        guard IPAddress(address) != nil else { throw Unmapped("'\(address)' is no address") }
        var peer = Mapping(["address": .scalar(address)])
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "multihop": break
            case "local-address": peer["local-address"] = rest.popFirst().map { .scalar($0) }
            case "interface": peer["interface"] = rest.popFirst().map { .scalar($0) }
            default: throw Unmapped("'\(word)' is not said of a session")
            }
        }
        draft.bfd[list: "peers"].append(.mapping(peer))
        open(.bfdPeer(draft.bfd[list: "peers"].count - 1))
    }

    /// In a profile, or in a profile of a peer's own.
    private mutating func bfd(_ key: String, _ node: Node) throws {
        switch context {
        case .bfdProfile(let name): draft.bfd[mapping: "profiles"][mapping: name][key] = node
        case .bfdPeer(let position):
            guard case .mapping(var peer) = draft.bfd[list: "peers"][position], case .scalar(let address)? = peer["address"]
            else { return }
            let name = "of-\(address.filter { $0.isLetter || $0.isNumber })"
            draft.bfd[mapping: "profiles"][mapping: name][key] = node
            peer["profile"] = .scalar(name)
            draft.bfd[list: "peers"][position] = .mapping(peer)
        default: throw Unmapped("unknown here")
        }
    }
    private mutating func bfdPeer(_ key: String, _ node: Node) throws {
        guard case .bfdPeer(let position) = context, case .mapping(var peer) = draft.bfd[list: "peers"][position] else {
            throw Unmapped("unknown here")
        }
        peer[key] = node
        draft.bfd[list: "peers"][position] = .mapping(peer)
    }

    static let bfdRules: [Rule] = [
        Rule("detect-multiplier *") { try $0.bfd("multiplier", .scalar($1[0])) },
        Rule("receive-interval *") { try $0.bfd("receive", .scalar($1[0] + "ms")) },
        Rule("transmit-interval *") { try $0.bfd("transmit", .scalar($1[0] + "ms")) },
        Rule("minimum-ttl *") { try $0.bfd("minimum-ttl", .scalar($1[0])) },
        Rule("passive-mode") { r, _ in try r.bfd("passive", Node(true)) },
        Rule("profile *") { try $0.bfdPeer("profile", .scalar($1[0])) },
        Rule("shutdown") { r, _ in try r.bfdPeer("shutdown", Node(true)) },
        Rule("no shutdown") { r, _ in r.needless("a session runs if it is named") },
        Rule("label ...") { r, _ in r.needless("a description") },
        Rule("echo-mode") { _, _ in throw Unmapped("there is no echo function") },
        Rule("echo transmit-interval *") { _, _ in throw Unmapped("there is no echo function") },
        Rule("echo receive-interval *") { _, _ in throw Unmapped("there is no echo function") },
        Rule("echo-interval *") { _, _ in throw Unmapped("there is no echo function") },
    ]
}
