import Wire

/// Types and codes of RFC 792.
enum ICMPv4 {
    static let protocolNumber: UInt8 = 1
    static let echoReply: UInt8 = 0
    static let destinationUnreachable: UInt8 = 3
    static let echoRequest: UInt8 = 8
    static let timeExceeded: UInt8 = 11
    static let parameterProblem: UInt8 = 12
    static let codeProtocol: UInt8 = 2
    static let codePort: UInt8 = 3
    static let codeFragmentationNeeded: UInt8 = 4
}

/// Types and codes of RFC 4443, RFC 4861 and RFC 3810.
enum ICMPv6 {
    static let protocolNumber: UInt8 = 58
    static let destinationUnreachable: UInt8 = 1
    static let packetTooBig: UInt8 = 2
    static let timeExceeded: UInt8 = 3
    static let parameterProblem: UInt8 = 4
    static let echoRequest: UInt8 = 128
    static let echoReply: UInt8 = 129
    static let listenerQuery: UInt8 = 130
    static let neighborSolicitation: UInt8 = 135
    static let neighborAdvertisement: UInt8 = 136
    static let listenerReport: UInt8 = 143
    static let codePort: UInt8 = 4
    static let codeNextHeader: UInt8 = 1
}

enum UpperLayer {
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
}

extension InternetChecksum {
    mutating func add(_ address: IPv6Address) {
        add32(UInt32(truncatingIfNeeded: address.high >> 32))
        add32(UInt32(truncatingIfNeeded: address.high))
        add32(UInt32(truncatingIfNeeded: address.low >> 32))
        add32(UInt32(truncatingIfNeeded: address.low))
    }

    /// RFC 8200 §8.1: the pseudo-header of an upper layer over IPv6.
    init(from source: IPv6Address, to destination: IPv6Address, protocolNumber: UInt8, length: Int) {
        self.init()
        add(source)
        add(destination)
        add32(UInt32(truncatingIfNeeded: length))
        add32(UInt32(protocolNumber))
    }
}
