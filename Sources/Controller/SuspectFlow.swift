import Machine
import Records
import Redundancy
import Wire

/// What came from one neighbour for one protocol, as far as a frame's headers tell: a frame of it was in hand when the twin's
/// line card died. Its sender will say the same again, so all of it is dropped for a while.
struct SuspectFlow: Equatable, Sendable, CustomStringConvertible {
    let interface: InterfaceID
    /// 0 for frames with a length in its place (IEEE 802.3), such as IS-IS.
    let etherType: UInt16
    /// The sender.
    let source: PacketAddress
    /// Of IP; 0 otherwise.
    let protocolNumber: UInt8
    /// The lesser of both ports of TCP or UDP: the service's, whoever has opened the connection. 0 otherwise, and in fragments
    /// after the first.
    let port: UInt16

    /// - Parameter frame: from its destination address on; 64 octets are enough.
    /// - Returns: `nil` if it is too short to tell.
    init?(_ frame: RawSpan, on interface: InterfaceID) {
        func octet(_ offset: Int) -> UInt8 { unsafe frame.unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
        func word(_ offset: Int) -> UInt16 { UInt16(octet(offset)) << 8 | UInt16(octet(offset + 1)) }
        func long(_ offset: Int, _ count: Int) -> UInt64 {
            (offset..<offset + count).reduce(0) { $0 << 8 | UInt64(octet($1)) }
        }
        guard frame.byteCount >= 18 else { return nil }
        let start = word(12) == 0x8100 ? 18 : 14
        let type = word(start - 2)
        self.interface = interface
        etherType = type < 0x600 ? 0 : type
        switch type {
        case 0x0800 where frame.byteCount >= start + 20:
            source = .ip(.v4(IPv4Address(raw: UInt32(truncatingIfNeeded: long(start + 12, 4)))))
            protocolNumber = octet(start + 9)
            let header = Int(octet(start) & 15) * 4
            let isFirst = word(start + 6) & 0x1fff == 0
            port = isFirst ? Self.port(protocolNumber, at: start + header, frame.byteCount, word) : 0
        case 0x86dd where frame.byteCount >= start + 40:
            source = .ip(.v6(IPv6Address(high: long(start + 8, 8), low: long(start + 16, 8))))
            protocolNumber = octet(start + 6)
            port = Self.port(protocolNumber, at: start + 40, frame.byteCount, word)
        default:
            source = .station(MACAddress(raw: long(6, 6)))
            (protocolNumber, port) = (0, 0)
        }
    }

    private static func port(_ number: UInt8, at offset: Int, _ count: Int, _ word: (Int) -> UInt16) -> UInt16 {
        guard number == 6 || number == 17, offset + 4 <= count else { return 0 }
        return min(word(offset), word(offset + 2))
    }

    var description: String {
        switch etherType {
        case 0x0800, 0x86dd:
            "\(etherType == 0x0800 ? "IPv4" : "IPv6") protocol \(protocolNumber)\(port == 0 ? "" : " port \(port)") of \(source)"
        case 0: "802.3 frames of \(source)"
        default: "frames of type 0x\(String(etherType, radix: 16)) of \(source)"
        }
    }
}

/// What may have killed the twin's line card and is kept from ours.
struct SuspectFlows {
    /// So long the pair has been redundant before a flow is let in again: it may kill the next controller.
    static let pause = Duration.seconds(2)
    /// However long the pair is not redundant.
    private static let maximumTime = Duration.seconds(600)
    private static let maximum = 8

    /// Until when each is not heard whatever happens.
    private var flows: [(flow: SuspectFlow, until: Instant)] = []

    mutating func add(_ flow: SuspectFlow, at now: Instant) {
        flows.removeAll { $0.flow == flow }
        if flows.count == Self.maximum { flows.removeFirst() }
        flows.append((flow, now + Self.maximumTime))
    }

    /// Whether a frame is of one of them.
    func contain(_ frame: RawSpan, on interface: InterfaceID) -> Bool {
        guard !flows.isEmpty, let flow = SuspectFlow(frame, on: interface) else { return false }
        return flows.contains { $0.flow == flow }
    }

    /// Those that are heard again.
    mutating func release(redundantSince: Instant?, at now: Instant) -> [SuspectFlow] {
        guard !flows.isEmpty else { return [] }
        let isCalm = redundantSince.map { now >= $0 + Self.pause } ?? false
        let released = flows.filter { isCalm || now >= $0.until }.map(\.flow)
        flows.removeAll { isCalm || now >= $0.until }
        return released
    }

    func deadline(redundantSince: Instant?) -> Instant? {
        guard let last = flows.map(\.until).min() else { return nil }
        return redundantSince.map { min($0 + Self.pause, last) } ?? last
    }
}

extension Controller {
    mutating func suspect(_ frame: DyingGasp.Frame, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let flow = SuspectFlow(frame.header.span.bytes, on: frame.interface) else { return }
        suspects.add(flow, at: now)
        note(
            .alarm, "linecard",
            "the twin died with a frame in hand, of \(frame.length) octets on \(interfaces.name(of: frame.interface)): "
                + "\(flow) is not heard until the pair has been redundant for \(SuspectFlows.pause.inMilliseconds) ms",
            into: &outputs)
    }

    mutating func releaseSuspects(at now: Instant, into outputs: inout [ControllerOutput]) {
        for flow in suspects.release(redundantSince: log?.redundantSince, at: now) {
            note(.notice, "linecard", "\(flow) is heard again", into: &outputs)
        }
    }
}
