import BGP
import Wire

/// What the families of a neighbour carry.
extension BGPText {
    /// A number, or `none` for no limit, which is something else than to say nothing.
    static func limit(_ wanted: String) -> Kind<UInt32> {
        let number = Kind<UInt32>.number(1...(UInt32.max - 1), "\(wanted), or none,")
        return Kind(
            values: "\(number.values) or none", words: ["none"],
            read: { $0.scalar == "none" ? FamilyConfiguration.unlimited : number.read($0) },
            text: { $0 == FamilyConfiguration.unlimited ? "none" : "\($0)" })
    }

    /// - Parameter isOfGroup: what the families of a group say themselves; the limit that they have in common is a key of its own,
    ///   of which another group may say something else.
    func familySettings(isOfGroup: Bool) -> [Setting<NeighborConfiguration>] {
        let words = RouteFamily.configurable.map(\.description)
        let atLeastOne = "at least one family is needed: \(Spelling.choice(words))"
        let list = Kind<RouteFamily>.one(of: RouteFamily.configurable)
        var families = Setting<NeighborConfiguration>(
            key: "families", sentence: "That of the address otherwise; the long form says more of each.",
            values: "a list of \(list.values), or FAMILY: …"
        ) { fields, neighbor in
            guard let field = fields["families"] else { return false }
            guard field.isMapping else {
                let once = list.once { "\($0) is written twice" }
                let entries = field.list(atMost: 16) ?? []
                if entries.isEmpty { field.error(atLeastOne) }
                neighbor.families = self.families(entries.compactMap(once.read), isOfGroup ? nil : fields)
                return true
            }
            guard let mapping = MappingReader(field, keys: words) else { return false }
            if mapping.entries.isEmpty { field.error(atLeastOne) }
            neighbor.families = mapping.entries.compactMap { name, value in
                guard let known = RouteFamily.configurable.first(where: { $0.description == name }) else { return nil }
                var result = self.families([known], isOfGroup ? nil : fields)[0]
                _ = Self.family.read(value, into: &result)
                if result.maximumPrefixes == FamilyConfiguration.unlimited,
                    MappingReader(anyKeysOf: value)?.entries.contains(where: { Self.ofLimit.contains($0.key) }) == true
                {
                    value.error("with 'max-prefix: none' there is no limit of which these could say something")
                }
                if result.extendedNextHop, !known.canExtendNextHop {
                    value.at("extended-next-hop").error("\(known) has IPv6 next hops without it; it is for families of IPv4")
                }
                for (key, isThere) in [("warning-only", result.warningOnly), ("restart", result.restartMinutes > 0)]
                where result.discardsExtra && isThere {
                    value.at(key).error("'\(key)' and 'discard-extra' exclude each other")
                }
                return result
            }
            return true
        }
        families.words = words
        families.nested = { _ in Self.family.description }
        families.differs = { neighbor, _ in
            neighbor.families != [FamilyConfiguration(RouteFamily(neighbor.address.family))]
        }
        families.write = { neighbor, writer in
            if neighbor.families.allSatisfy({ $0 == FamilyConfiguration($0.family) }) {
                return writer.list("families", neighbor.families.map { "\($0.family)" })
            }
            writer.section("families") { writer in
                for family in neighbor.families {
                    if family == FamilyConfiguration(family.family) {
                        writer.line("\(family.family)", "{}")
                    } else {
                        writer.section("\(family.family)") { Self.family.write(family, &$0) }
                    }
                }
            }
        }
        var limit = Setting<NeighborConfiguration>(
            "max-prefix", \.commonPrefixLimit, Self.limit("a number of prefixes"),
            "Prefixes of each family before policy (RFC 4271 §6.7); the default of the kind of session otherwise.")
        // Whose limits all stand at its families has none in common.
        limit.differs = { _, _ in false }
        return [families, limit]
    }

    /// With the limit that the neighbour has for each.
    func families(_ families: [RouteFamily], _ fields: MappingReader?) -> [FamilyConfiguration] {
        let limit = fields?["max-prefix"].flatMap(Self.limit("a number of prefixes").read)
        return families.map { family in
            var result = FamilyConfiguration(family)
            if let limit { result.maximumPrefixes = limit }
            return result
        }
    }

    /// What says something of the limit of a family.
    static let ofLimit: Set<String> = ["warning", "warning-only", "restart", "discard-extra"]

    static var family: Section<FamilyConfiguration> {
        Section(
            FamilyConfiguration(.ipv4Unicast),
            foreign: [
                "add-paths": "add-path: {receive: true, send: all}", "addpath": "add-path: {receive: true, send: all}",
                "addpath-tx-all-paths": "add-path: {send: all}", "addpath-tx-best-selected": "add-path: {send: N}",
                "addpath-rx": "add-path: {receive: true}", "disable-addpath-rx": "add-path: {receive: false}",
                "extended-nexthop": "extended-next-hop", "capability-extended-nexthop": "extended-next-hop",
                "secondary": "view: best-accepted at the neighbor", "view": "it at the neighbor",
                "stale-time": "long-lived-stale-time", "long-lived-graceful-restart": "long-lived-stale-time: 1h",
            ]
        ) {
            Setting(
                "max-prefix", \.maximumPrefixes, limit("a number of prefixes"),
                "More end the session with Cease/1.")
            Setting("warning", \.warningPercent, .number(1...100, "per cent"), "At so much of the limit an event warns.")
            Setting("warning-only", \.warningOnly, .flag, "The session goes on.")
            Setting("discard-extra", \.discardsExtra, .flag, "More are not taken, and the session goes on.")
            Setting("restart", \.restartMinutes, .minutes(1...65535), "Until the session is tried again; else clear bgp does it.")
            Setting("add-path", in: \.addPath, "Several paths of a prefix, told apart by identifiers (RFC 7911).") { _ in addPath
            }
            Setting(
                "extended-next-hop", \.extendedNextHop, .flag,
                "IPv6 next hops for IPv4 routes, both ways, if the neighbor agrees (RFC 8950).")
            Setting(
                "long-lived-stale-time", \.longLivedStaleTime, longLivedStaleTime,
                "Stale routes are kept for so long as the last resort (RFC 9494); nobody does without a word here.")
        }
    }

    private static var longLivedStaleTime: Kind<UInt32> {
        let time = Kind<UInt32>.seconds(1...0xff_ffff)
        return Kind(
            values: "\(time.values) or none", words: ["none"], read: { $0.scalar == "none" ? 0 : time.read($0) },
            text: { $0 == 0 ? "none" : time.text($0) })
    }

    static var addPath: Section<AddPathConfiguration> {
        Section(
            AddPathConfiguration(),
            foreign: [
                "rx": "receive", "tx": "send", "both": "receive: true, send: all", "limit": "send: N", "send-max": "send: N",
                "send-path-count": "send: N", "tx-all-paths": "send: all",
            ]
        ) {
            Setting("receive", \.receive, .flag, "Offer to take several; each counts towards the limits.")
            Setting(
                "send", \.send, pathsSent,
                "Offer to send so many at most, the best ones that export lets pass; all: \(AddPathConfiguration.pathsMaximum).")
        }
    }

    static var pathsSent: Kind<UInt8> {
        let number = Kind<UInt8>.number(2...AddPathConfiguration.pathsMaximum, "a number of paths, all, or none,")
        return Kind(
            values: "\(number.values), all or none", words: ["all", "none"],
            read: { field in
                switch field.scalar {
                case "all": AddPathConfiguration.all
                case "none": 0
                default: number.read(field)
                }
            }, text: { $0 == AddPathConfiguration.all ? "all" : $0 == 0 ? "none" : "\($0)" })
    }
}
