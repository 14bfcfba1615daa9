import Wire

// How addresses and prefixes stand in a snapshot, wherever they do. An address has an octet for its family first.

extension IPAddress: Fielded {
    public static let blank = IPAddress.v4(IPv4Address(raw: 0))

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        var number: UInt8, raw: UInt32 = 0, high: UInt64 = 0, low: UInt64 = 0
        switch self {
        case .v4(let address): (number, raw) = (4, address.raw)
        case .v6(let address): (number, high, low) = (6, address.high, address.low)
        }
        try visitor.number(&number)
        switch number {
        case 4:
            try visitor.number(&raw)
            if visitor.isReading { self = .v4(IPv4Address(raw: raw)) }
        case 6:
            try visitor.number(&high)
            try visitor.number(&low)
            if visitor.isReading { self = .v6(IPv6Address(high: high, low: low)) }
        default: try visitor.require(false, "address family")
        }
    }
}

extension IPPrefix: Fielded {
    public static let blank = IPPrefix.v4(IPv4Prefix(IPv4Address(raw: 0), 0))

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        var address: IPAddress, length = self.length
        switch self {
        case .v4(let prefix): address = .v4(prefix.address)
        case .v6(let prefix): address = .v6(prefix.address)
        }
        try visitor.nested(&address)
        try visitor.number(&length)
        guard visitor.isReading else { return }
        switch address {
        case .v4(let address):
            try visitor.require(length <= 32, "prefix length")
            self = .v4(IPv4Prefix(address, length))
        case .v6(let address):
            try visitor.require(length <= 128, "prefix length")
            self = .v6(IPv6Prefix(address, length))
        }
    }
}
