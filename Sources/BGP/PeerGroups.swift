import Wire

/// What neighbours have in common. Neighbours are expanded when the text of a configuration is read, so machines do not look
/// at groups: they are kept for the text, for those who show it, and for ranges from which neighbours come by themselves.
public struct PeerGroupConfiguration: Hashable, Sendable, Codable {
    /// At most 64 characters; unique.
    public var name: String
    /// What the group says, and what is usual of the rest. Address and AS may mean nothing.
    public var settings: NeighborConfiguration
    /// Keys that the group says; those within another one stand behind a dot.
    public var said: [String]

    public init(name: String, settings: NeighborConfiguration, said: [String]) {
        self.name = name
        self.settings = settings
        self.said = said
    }
}

/// Where a neighbour's settings come from, for the text of the configuration: what it says itself, and whose the rest is.
public struct GroupMembership: Hashable, Sendable, Codable {
    /// Names of groups; of what several say the later one counts.
    public var groups: [String]
    /// Keys that the neighbour says itself.
    public var said: [String]

    public init(groups: [String], said: [String] = []) {
        self.groups = groups
        self.said = said
    }
}

/// AS numbers from `first` to `last`.
public struct ASNumberRange: Hashable, Sendable, Codable {
    public var first: ASNumber
    public var last: ASNumber

    public init(_ first: ASNumber, _ last: ASNumber) {
        self.first = first
        self.last = last
    }

    public func contains(_ number: ASNumber) -> Bool { first.raw <= number.raw && number.raw <= last.raw }
}

/// A range of addresses: whoever connects from one of them, and is configured nowhere, becomes a neighbour.
public struct ListenRangeConfiguration: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// The peer group that says what such a neighbour is.
    public var group: String
    /// What such a neighbour is; its AS is zero if there are several of which one must be the neighbour's.
    public var template: NeighborConfiguration
    /// Of which one must be the neighbour's AS, at most 64; all external, or one internal. Empty: that of the group.
    public var asNumbers: [ASNumberRange]
    /// How many neighbours of this range there may be at a time, 1…4,096.
    public var limit: UInt16 = ListenRangeConfiguration.limitDefault

    public static let limitDefault: UInt16 = 100
    /// How many ranges there may be.
    public static let rangesMaximum = 64

    public init(prefix: IPPrefix, group: String, template: NeighborConfiguration, asNumbers: [ASNumberRange] = []) {
        self.prefix = prefix
        self.group = group
        self.template = template
        self.asNumbers = asNumbers
    }

    /// A neighbour of this range. Its AS is known when there is only one; else with its OPEN, and zero until then.
    public func neighbor(_ address: IPAddress) -> NeighborConfiguration {
        var neighbor = template
        neighbor.address = address
        neighbor.range = prefix
        neighbor.passive = true
        neighbor.membership = GroupMembership(groups: [group])
        return neighbor
    }

    /// The AS numbers that count.
    public var accepted: [ASNumberRange] {
        asNumbers.isEmpty && template.remoteAS != .zero ? [ASNumberRange(template.remoteAS, template.remoteAS)] : asNumbers
    }
    public func accepts(_ asNumber: ASNumber) -> Bool { accepted.contains { $0.contains(asNumber) } }
}

/// RFC 7705 §3: another AS than the router's towards a neighbour, as while one AS becomes part of another.
public struct LocalASConfiguration: Hashable, Sendable, Codable {
    public var asNumber: ASNumber
    /// It is not put in front of paths that the neighbour sends.
    public var noPrepend = false
    /// It stands in place of the router's AS in paths that the neighbour gets, and not before it.
    public var replacesAS = false
    /// The neighbour may know us by the router's AS as well.
    public var dualAS = false

    public init(_ asNumber: ASNumber) { self.asNumber = asNumber }
}
