import Machine
import Records
import Routing
import Wire

extension RouteCalculation: Snapshotting {
    /// What was published, and what is due. The rest is made again from configuration, adjacencies and LSPs.
    public func write(to writer: inout SnapshotWriter) {
        writer.write(seedForSnapshot)
        writer.write(pending.rawValue)
        writer.write(isAttached)
        writer.writeList(ipv4.inOrder) { entry, w in
            w.write(entry.prefix.packed)
            w.writeRoute(entry.route.offer, entry.route.flags)
        }
        writer.writeList(ipv6.inOrder) { entry, w in
            w.write(entry.prefix.address.high)
            w.write(entry.prefix.address.low)
            w.write(entry.prefix.length)
            w.writeRoute(entry.route.offer, entry.route.flags)
        }
    }

    /// A calculation that knows what was published. Then comes `configure`, `setLocal` for each level, `setDiscards`,
    /// `update` for each LSP that is alive, and `finishRestore`.
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(seed: try reader.read())
        guard let pending = Pending(rawValue: try reader.read()) else {
            throw DecodeError("pending calculation", at: reader.position, .badValue)
        }
        let isAttached = try reader.readBool()
        let first: [(IPv4Prefix, PrefixRoutes<IPv4Prefix>.Published)] = try reader.readList { r throws(DecodeError) in
            let packed: UInt64 = try r.read()
            guard packed & 0xff <= 32, packed >> 40 == 0 else {
                throw DecodeError("prefix", at: r.position, .badValue)
            }
            let (offer, flags) = try r.readRoute()
            return (IPv4Prefix(packed: packed), PrefixRoutes.Published(offer: offer, flags: flags))
        }
        let second: [(IPv6Prefix, PrefixRoutes<IPv6Prefix>.Published)] = try reader.readList { r throws(DecodeError) in
            let high: UInt64 = try r.read()
            let low: UInt64 = try r.read()
            let length: UInt8 = try r.read()
            guard length <= 128 else { throw DecodeError("prefix length", at: r.position, .badValue) }
            let (offer, flags) = try r.readRoute()
            return (IPv6Prefix(IPv6Address(high: high, low: low), length), PrefixRoutes.Published(offer: offer, flags: flags))
        }
        restore(pending, isAttached: isAttached, first, second)
    }
}

extension SnapshotWriter {
    fileprivate mutating func writeRoute(_ offer: RouteOffer, _ flags: ReachFlags) {
        offer.write(to: &self)
        write(flags.rawValue)
    }
}

extension SnapshotReader {
    fileprivate mutating func readRoute() throws(DecodeError) -> (RouteOffer, ReachFlags) {
        let offer = try RouteOffer(from: &self)
        // Nothing else is ever published.
        let isPublished = offer.nextHops.allSatisfy {
            switch $0 {
            case .via, .blackhole: true
            case .connected, .gateway: false
            }
        }
        guard !offer.nextHops.isEmpty, isPublished else { throw DecodeError("next hops", at: position, .badValue) }
        return (offer, ReachFlags(rawValue: try read()))
    }
}
