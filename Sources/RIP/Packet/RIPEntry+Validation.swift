import Wire

/// RFC 2453 §3.9.2, RFC 2080 §2.4.2: which entries of a response are believed.
extension RIPv2Entry {
    /// - Parameters:
    ///   - version: of the message.
    ///   - network: of ours, on which the sender is.
    func learned(version: UInt8, on network: IPv4Prefix, own: [IPv4Address]) -> Result<LearnedEntry, RIPRefusal> {
        guard family == 2 else { return .failure(RIPRefusal(.entryFamily)) }
        guard metric >= 1, metric <= UInt32(RIPFormat.infinity) else { return .failure(RIPRefusal(.entryMetric)) }
        let prefix: IPv4Prefix
        if version == 1 || mask == 0 && address != .any {
            // RFC 2453 §4.3: no mask was included. RFC 1058 §3.2 tells what may be inferred.
            prefix = Self.inferred(address, on: network)
        } else {
            guard let length = maskLength else { return .failure(RIPRefusal(.entryDestination)) }
            // RFC 2453 §4.3 has the mask applied to the address: host bits say nothing. Other routers read it so.
            prefix = IPv4Prefix(address, length)
        }
        guard Self.isUnicast(prefix) else { return .failure(RIPRefusal(.entryDestination)) }
        var via: IPAddress?
        if version > 1, nextHop != .any {
            // RFC 2453 §4.4: one that is not on the link is taken for 0.0.0.0.
            if own.contains(nextHop) { return .failure(RIPRefusal(.entryNextHop)) }
            if network.contains(nextHop), !nextHop.isMulticast { via = .v4(nextHop) }
        }
        return .success(
            LearnedEntry(
                destination: Destination(mapping: prefix), metric: UInt8(truncatingIfNeeded: metric),
                tag: version > 1 ? tag : 0, nextHop: via))
    }

    /// RFC 2453 §3.9.2: unicast, not net 0 or 127; the default route is 0.0.0.0 with a mask of nothing.
    static func isUnicast(_ prefix: IPv4Prefix) -> Bool {
        if prefix.length == 0 { return prefix.address == .any }
        let first = prefix.address.raw >> 24
        return first != 0 && first != 127 && first < 224
    }

    /// RFC 1058 §3.2: the mask of the network it came in on where that is a part of the same natural network, else the
    /// natural mask; a host where that leaves host bits.
    static func inferred(_ address: IPv4Address, on network: IPv4Prefix) -> IPv4Prefix {
        if address == .any { return IPv4Prefix(.any, 0) }
        let natural = naturalLength(address)
        let isSameNetwork = natural <= network.length && IPv4Prefix(address, natural).contains(network.address)
        let length = isSameNetwork ? network.length : natural
        let prefix = IPv4Prefix(address, length)
        return prefix.address == address ? prefix : IPv4Prefix(address, 32)
    }

    /// Class A, B or C.
    static func naturalLength(_ address: IPv4Address) -> UInt8 {
        switch address.raw >> 24 {
        case ..<128: 8
        case ..<192: 16
        default: 24
        }
    }
}

extension RIPngEntry {
    /// - Parameter nextHop: that of the entry of next hops which came before; `nil` is the sender.
    func learned(nextHop: IPv6Address?) -> Result<LearnedEntry, RIPRefusal> {
        guard metric >= 1, metric <= RIPFormat.infinity else { return .failure(RIPRefusal(.entryMetric)) }
        // RFC 2080 §2.4.2: neither a multicast nor a link-local prefix, and no more than 128 bits.
        guard length <= 128, !address.isMulticast, !address.isLinkLocal else {
            return .failure(RIPRefusal(.entryDestination))
        }
        let prefix = IPv6Prefix(address, length)
        if length == 128, prefix.address.isLoopback || prefix.address == .any {
            return .failure(RIPRefusal(.entryDestination))
        }
        return .success(LearnedEntry(destination: prefix, metric: metric, tag: tag, nextHop: nextHop.map { .v6($0) }))
    }
}
