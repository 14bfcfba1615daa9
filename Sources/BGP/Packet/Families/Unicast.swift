import Machine
import Policy
import Routing
import Wire

/// RFC 4271: AFI 1, SAFI 1, with fields of its own in UPDATE.
enum IPv4Unicast: UnicastFamily {
    typealias Key = IPv4Prefix
    typealias Change = BestRouteChange<IPv4Address>
    static var family: RouteFamily { .ipv4Unicast }
    static var code: FamilyCode { FamilyCode(afi: 1, safi: 1) }
    static var name: String { "ipv4-unicast" }
    static var hasOwnFields: Bool { true }
    static var nextHops: NextHopForms { .ipv4 }
    static var bitsMaximum: UInt8 { 32 }
    /// The Internet's table has about 1.1 million (2026); a leak of more-specific routes can become far more.
    static var prefixLimit: UInt32 { 2_000_000 }
}

/// RFC 4760 and RFC 2545: AFI 2, SAFI 1.
enum IPv6Unicast: UnicastFamily {
    typealias Key = IPv6Prefix
    typealias Change = BestRouteChange<IPv6Address>
    static var family: RouteFamily { .ipv6Unicast }
    static var code: FamilyCode { FamilyCode(afi: 2, safi: 1) }
    static var name: String { "ipv6-unicast" }
    static var nextHops: NextHopForms { [.ipv6, .ipv6Pair] }
    static var bitsMaximum: UInt8 { 128 }
    /// The Internet's table has about a quarter of a million (2026).
    static var prefixLimit: UInt32 { 600_000 }
}

/// Prefixes to which packets are forwarded by the next hop alone.
protocol UnicastFamily: PrefixFamily where Change == BestRouteChange<Key.Address> {}

extension UnicastFamily {
    static var isForwarded: Bool { true }
    static var sizeMaximum: Int { 1 + Key.addressSize }

    @inline(__always)
    static func read(_ nlri: RawSpan, at offset: Int) -> (key: Key.Packed, label: UInt32, size: Int)? {
        let length = nlri.u8(offset)
        guard let key = Key.read(nlri, at: offset &+ 1, length: length) else { return nil }
        return (key, 0, 1 &+ (Int(length) &+ 7) >> 3)
    }
    @inline(__always)
    static func write(_ key: Key.Packed, label: UInt32, to target: UnsafeMutablePointer<UInt8>) -> Int {
        unsafe target[0] = Key.length(of: key)
        unsafe Key.writeAddress(key, to: target + 1)
        return size(key)
    }
    @inline(__always)
    static func size(_ key: Key.Packed) -> Int { 1 &+ (Int(Key.length(of: key)) &+ 7) >> 3 }

    /// The lengths alone say whether a field is sound.
    @inline(__always)
    static func isSound(_ nlri: RawSpan, hasPathIDs: Bool) -> Bool {
        let count = nlri.byteCount
        let bits = bitsMaximum, before = hasPathIDs ? 4 : 0
        var i = 0
        while i < count {
            i &+= before
            guard i < count else { return false }
            let length = unsafe nlri.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
            if length > bits { return false }
            i &+= 1 &+ Int((UInt16(length) &+ 7) >> 3)
        }
        return i == count
    }

    @inline(__always)
    static func change(
        _ key: Key.Packed, _ source: RouteSource?, nextHop: NextHopTable.Entry, backup: NextHopTable.Entry
    ) -> Change {
        let prefix = Key(packed: key)
        // The routing table manager has a table of next hops for each address family: to a route whose next hop is of
        // the other one (RFC 8950) it knows no way yet.
        if source == nil || !Key.isOwn(nextHop) {
            let none = Key.everything.address
            return Change(address: prefix.address, length: prefix.length, source: nil, nextHop: none, backup: none)
        }
        let first = Key.address(high: nextHop.high, low: nextHop.low)
        return Change(
            address: prefix.address, length: prefix.length, source: source, nextHop: first,
            backup: Key.isOwn(backup) ? Key.address(high: backup.high, low: backup.low) : first)
    }

    static func write(_ change: Change, to writer: inout SnapshotWriter) {
        writer.writeBlock([Key(change.address, change.length).packed])
        writer.write(change.source?.rawValue ?? .max)
        writer.writeBlock([Key(change.nextHop, Key.lengthMaximum).packed, Key(change.backup, Key.lengthMaximum).packed])
    }
    static func readChange(_ reader: inout SnapshotReader) throws(DecodeError) -> Change {
        let at = reader.position
        let key = try reader.readBlock(of: Key.Packed.self)
        let kind: UInt8 = try reader.read()
        let nextHop = try reader.readBlock(of: Key.Packed.self)
        guard key.count == 1, nextHop.count == 2, Key.length(of: key[0]) <= Key.lengthMaximum,
            Key.length(of: nextHop[0]) == Key.lengthMaximum, Key.length(of: nextHop[1]) == Key.lengthMaximum
        else { throw DecodeError("route change", at: at, .badValue) }
        let prefix = Key(packed: key[0])
        return BestRouteChange(
            address: prefix.address, length: prefix.length, source: RouteSource(rawValue: kind),
            nextHop: Key(packed: nextHop[0]).address, backup: Key(packed: nextHop[1]).address)
    }
}
