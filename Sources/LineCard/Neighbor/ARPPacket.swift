import Wire

/// RFC 826 for IPv4 over Ethernet, the only combination in use.
struct ARPPacket: Equatable {
    enum Operation: UInt16 {
        case request = 1
        case reply = 2
    }
    static let length = 28

    var operation: Operation
    var senderMAC: MACAddress
    var sender: IPv4Address
    var targetMAC: MACAddress
    var target: IPv4Address

    /// RFC 5227 §1.1: a request with a sender address of zero claims nothing.
    var isProbe: Bool { operation == .request && sender == .any }

    init(operation: Operation, senderMAC: MACAddress, sender: IPv4Address, targetMAC: MACAddress, target: IPv4Address) {
        self.operation = operation
        self.senderMAC = senderMAC
        self.sender = sender
        self.targetMAC = targetMAC
        self.target = target
    }

    init(_ bytes: RawSpan) throws(DecodeError) {
        var r = ByteReader(bytes)
        guard try r.u16("ARP hardware") == 1 else { throw DecodeError("ARP hardware", at: 0, .unsupported) }
        guard try r.u16("ARP protocol") == EtherType.ipv4 else { throw DecodeError("ARP protocol", at: 2, .unsupported) }
        guard try r.u16("ARP lengths") == 0x0604 else { throw DecodeError("ARP lengths", at: 4, .badLength) }
        guard let operation = Operation(rawValue: try r.u16("ARP operation")) else {
            throw DecodeError("ARP operation", at: 6, .unsupported)
        }
        self.operation = operation
        senderMAC = try r.mac("ARP sender hardware")
        sender = try r.ipv4("ARP sender")
        targetMAC = try r.mac("ARP target hardware")
        target = try r.ipv4("ARP target")
        // A group address is nobody's, and who believed it would send to everybody.
        guard !senderMAC.isGroup else { throw DecodeError("ARP sender hardware", at: 8, .badValue) }
        guard !sender.isMulticast, sender != .broadcast else { throw DecodeError("ARP sender", at: 14, .badValue) }
    }

    func write(to w: inout ByteWriter) {
        w.u16(1)
        w.u16(EtherType.ipv4)
        w.u16(0x0604)
        w.u16(operation.rawValue)
        w.mac(senderMAC)
        w.ipv4(sender)
        w.mac(targetMAC)
        w.ipv4(target)
    }
}
