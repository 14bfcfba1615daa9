import Wire

/// The message formats of RFC 2453 §3.6, §4 and RFC 2080 §2.1 share their frame: a header of four octets and entries of
/// twenty.
enum RIPFormat {
    static let headerLength = 4
    static let entryLength = 20
    /// RFC 2453 §3.6: 1 to 25 entries.
    static let entriesMaximum = 25
    /// RFC 2453 §3.5, RFC 2080 §2.1: what cannot be reached.
    static let infinity: UInt8 = 16
    static let request: UInt8 = 1
    static let response: UInt8 = 2
    /// Address family of the entry that holds authentication (RFC 2453 §4.1).
    static let authenticationFamily: UInt16 = 0xffff
    /// RFC 2080 §2.1.1: the metric of an entry that holds a next hop.
    static let nextHopMetric: UInt8 = 0xff
}

/// RFC 2453 §3.6, §4: an entry as it stands in a message of version 1 or 2.
struct RIPv2Entry: Equatable {
    var family: UInt16
    var tag: UInt16
    var address: IPv4Address
    var mask: UInt32
    var nextHop: IPv4Address
    var metric: UInt32

    @_lifetime(r: copy r)
    static func read(_ r: inout ByteReader) throws(DecodeError) -> RIPv2Entry {
        RIPv2Entry(
            family: try r.u16("address family"), tag: try r.u16("route tag"), address: try r.ipv4("address"),
            mask: try r.u32("subnet mask"), nextHop: try r.ipv4("next hop"), metric: try r.u32("metric"))
    }

    func write(to w: inout ByteWriter) {
        w.u16(family)
        w.u16(tag)
        w.ipv4(address)
        w.u32(mask)
        w.ipv4(nextHop)
        w.u32(metric)
    }

    /// RFC 2453 §3.9.1: the only entry of a request for the whole table.
    static let wholeTable = RIPv2Entry(
        family: 0, tag: 0, address: .any, mask: 0, nextHop: .any, metric: UInt32(RIPFormat.infinity))

    /// The length of the mask; `nil` when its ones are not all to the left.
    var maskLength: UInt8? {
        let ones = (~mask).leadingZeroBitCount
        return IPv4Prefix.mask(UInt8(ones)) == mask ? UInt8(ones) : nil
    }
}

/// RFC 2080 §2.1: an entry as it stands in a message.
struct RIPngEntry: Equatable {
    var address: IPv6Address
    var tag: UInt16
    var length: UInt8
    var metric: UInt8

    @_lifetime(r: copy r)
    static func read(_ r: inout ByteReader) throws(DecodeError) -> RIPngEntry {
        RIPngEntry(
            address: try r.ipv6("prefix"), tag: try r.u16("route tag"), length: try r.u8("prefix length"),
            metric: try r.u8("metric"))
    }

    func write(to w: inout ByteWriter) {
        w.ipv6(address)
        w.u16(tag)
        w.u8(length)
        w.u8(metric)
    }

    /// RFC 2080 §2.4.1: the only entry of a request for the whole table.
    static let wholeTable = RIPngEntry(address: .any, tag: 0, length: 0, metric: RIPFormat.infinity)
}

/// A destination in the route table: IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2), so that one table serves both
/// versions. The order of prefixes is kept.
typealias Destination = IPv6Prefix

extension IPv6Prefix {
    init(mapping prefix: IPv4Prefix) {
        self.init(IPv6Address(high: 0, low: 0xffff_0000_0000 | UInt64(prefix.address.raw)), 96 + prefix.length)
    }

    /// `nil` where the prefix is of the other family.
    init?(_ prefix: IPPrefix, version: RIPVersion) {
        switch (prefix, version) {
        case (.v4(let p), .v2): self.init(mapping: p)
        case (.v6(let p), .ng): self = p
        default: return nil
        }
    }

    /// What was mapped. `self` must have come from `init(mapping:)`; else the lengths are held within bounds.
    var unmapped: IPv4Prefix {
        IPv4Prefix(IPv4Address(raw: UInt32(truncatingIfNeeded: address.low)), length < 96 ? 0 : length - 96)
    }

    func prefix(version: RIPVersion) -> IPPrefix { version == .v2 ? .v4(unmapped) : .v6(self) }
}

/// An entry after every check, whatever the version: what a neighbour says about one destination.
struct LearnedEntry: Equatable {
    var destination: Destination
    /// As announced, 1…16.
    var metric: UInt8
    var tag: UInt16
    /// `nil`: the neighbour itself.
    var nextHop: IPAddress?
}
