import Machine
import Wire

/// What a controller's port does with frames that come in.
public enum InwardHealth: UInt8, Hashable, Sendable, BitwiseCopyable, CaseIterable, CustomStringConvertible {
    /// Nothing speaks against it, nothing was heard lately.
    case unknown = 0
    /// Somebody was heard within a second.
    case good = 1
    /// Some frames come in, but none to groups, or none of one address family, while the twin hears them.
    case partlyDeaf = 2
    /// Nothing comes in, while the twin shows that there is something.
    case deaf = 3
    /// No carrier, or not yet for the recovery time.
    case noCarrier = 4
    /// Neighbours do not answer, while they answer the twin: nothing comes in, or nothing goes out.
    case unanswered = 5

    public var description: String {
        switch self {
        case .unknown: "unknown"
        case .good: "good"
        case .partlyDeaf: "partly deaf"
        case .deaf: "deaf"
        case .noCarrier: "no carrier"
        case .unanswered: "unanswered"
        }
    }
}

/// What a controller's port does with frames that go out. Only the twin can tell.
public enum OutwardHealth: UInt8, Hashable, Sendable, BitwiseCopyable, CaseIterable, CustomStringConvertible {
    /// Nothing speaks against it; or the twin cannot tell.
    case unknown = 0
    /// The twin heard us within a second.
    case good = 1
    /// The twin hears others, but none of what we send.
    case mute = 2

    public var description: String {
        switch self {
        case .unknown: "unknown"
        case .good: "good"
        case .mute: "mute"
        }
    }
}

/// How well one controller's port works, in and out. What is unknown counts as working: only what is proven counts
/// against a port.
public struct PortHealth: Hashable, Sendable, CustomStringConvertible {
    public var inward: InwardHealth
    public var outward: OutwardHealth

    public init(inward: InwardHealth = .unknown, outward: OutwardHealth = .unknown) {
        self.inward = inward
        self.outward = outward
    }

    /// Points of a port that works; the others have fewer.
    public static let pointsMaximum = 4

    /// 4 for a port that works, 2 for one that is partly deaf, 0 for one that does not work.
    public var points: Int {
        if outward == .mute { return 0 }
        switch inward {
        case .unknown, .good: return Self.pointsMaximum
        case .partlyDeaf: return 2
        case .deaf, .noCarrier, .unanswered: return 0
        }
    }

    public var description: String {
        inward == .noCarrier ? "no carrier" : "inward \(inward), outward \(outward)"
    }
}

/// What one controller tells the other of its ports, in each heartbeat: what it has found, and the counters from which
/// the twin draws its own conclusions. At most 64 ports one by one, the others as a sum.
///
/// ```
///  octets  1        1      10 × count  2            2            1            2                  1 or 4 or …
///          version  count  ports       other ports  their points damper level hold-off in 10 ms  a station
///
///  one port:  1  inward (3 bits), outward of the twin (2), carrier (1), calls for fast advertisements (1), zero (1)
///             1  whether neighbours answer (2 bits), zero (6)
///             1  advertisements sent      1  advertisements of the twin heard      (modulo 256)
///             6  frames of others to groups: IPv4, IPv6, other                      (modulo 65536 each)
///  a station: 1  octets of the address: 0 (none), 4, 16      1  interface      1  place in the list      4 or 16  address
/// ```
public struct PortReport: Hashable, Sendable {
    public static let version: UInt8 = 2
    /// Ports that are reported one by one.
    public static let portsMaximum = 64
    /// The longest report, in octets.
    public static let sizeMaximum = 2 + 10 * portsMaximum + 7 + 19
    /// Stations of a port that are asked in turn.
    public static let stationsMaximum = 4

    public struct Port: Hashable, Sendable, BitwiseCopyable {
        /// The sender's finding on its own port.
        public var inward: InwardHealth = .unknown
        /// The sender's finding on the *receiver's* port.
        public var twinOutward: OutwardHealth = .unknown
        public var isUp = true
        /// The sender is suspicious: the receiver shall advertise fast on this port.
        public var callsForFast = false
        /// Whether neighbours answer the sender.
        public var trial = TrialOutcome.untried
        public var sent: UInt8 = 0
        public var heard: UInt8 = 0
        public var groupIPv4: UInt16 = 0
        public var groupIPv6: UInt16 = 0
        public var groupOther: UInt16 = 0
        public init() {}

        func group(_ family: Int) -> UInt16 {
            switch family {
            case 0: groupIPv4
            case 1: groupIPv6
            default: groupOther
            }
        }
    }

    /// By `InterfaceID`, from 0; at most 64.
    public var ports: [Port] = []
    /// Ports beyond these, and the sum of their points.
    public var otherPorts: UInt16 = 0
    public var otherPoints: UInt16 = 0
    /// See `RoleDamper`.
    public var damperLevel: UInt8 = 0
    public var holdOff: Duration = .zero

    /// A neighbour that answered the sender lately, for the receiver to ask, too. One in each report, in turn.
    public struct Station: Hashable, Sendable, BitwiseCopyable {
        /// Below `portsMaximum`.
        public var interface: UInt8
        /// Below `stationsMaximum`: another one in the same place takes its place.
        public var place: UInt8
        public var address: IPAddress
        public init(interface: UInt8, place: UInt8, address: IPAddress) {
            self.interface = interface
            self.place = place
            self.address = address
        }
    }
    public var station: Station?

    public init() {}

    public func encode(into writer: inout ByteWriter) {
        writer.u8(Self.version)
        let listed = ports.prefix(Self.portsMaximum)
        writer.u8(UInt8(listed.count))
        for port in listed {
            var bits = port.inward.rawValue | port.twinOutward.rawValue << 3
            if port.isUp { bits |= 0x20 }
            if port.callsForFast { bits |= 0x40 }
            writer.u8(bits)
            writer.u8(port.trial.rawValue)
            writer.u8(port.sent)
            writer.u8(port.heard)
            writer.u16(port.groupIPv4)
            writer.u16(port.groupIPv6)
            writer.u16(port.groupOther)
        }
        writer.u16(otherPorts)
        writer.u16(otherPoints)
        writer.u8(damperLevel)
        writer.u16(UInt16(min(max(holdOff.inMilliseconds / 10, 0), Int64(UInt16.max))))
        guard let station else { return writer.u8(0) }
        func head(_ length: UInt8) {
            writer.u8(length)
            writer.u8(station.interface)
            writer.u8(station.place)
        }
        switch station.address {
        case .v4(let address):
            head(4)
            writer.u32(address.raw)
        case .v6(let address):
            head(16)
            writer.u64(address.high)
            writer.u64(address.low)
        }
    }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader) throws(DecodeError) {
        let start = reader.offset
        guard try reader.u8("port report version") == Self.version else {
            throw DecodeError("port report version", at: start, .unsupported)
        }
        let count = Int(try reader.u8("reported ports"))
        guard count <= Self.portsMaximum else { throw DecodeError("reported ports", at: start + 1, .badLength) }
        ports.reserveCapacity(count)
        for _ in 0..<count {
            var port = Port()
            let at = reader.offset
            let bits = try reader.u8("port state")
            guard let inward = InwardHealth(rawValue: bits & 7), let outward = OutwardHealth(rawValue: bits >> 3 & 3),
                bits & 0x80 == 0
            else { throw DecodeError("port state", at: at, .badValue) }
            port.inward = inward
            port.twinOutward = outward
            port.isUp = bits & 0x20 != 0
            port.callsForFast = bits & 0x40 != 0
            let trialAt = reader.offset
            guard let trial = TrialOutcome(rawValue: try reader.u8("answers of neighbours")) else {
                throw DecodeError("answers of neighbours", at: trialAt, .badValue)
            }
            port.trial = trial
            port.sent = try reader.u8("advertisements sent")
            port.heard = try reader.u8("advertisements heard")
            port.groupIPv4 = try reader.u16("IPv4 frames to groups")
            port.groupIPv6 = try reader.u16("IPv6 frames to groups")
            port.groupOther = try reader.u16("other frames to groups")
            ports.append(port)
        }
        otherPorts = try reader.u16("other ports")
        let at = reader.offset
        otherPoints = try reader.u16("points of other ports")
        guard Int(otherPoints) <= Int(otherPorts) * PortHealth.pointsMaximum else {
            throw DecodeError("points of other ports", at: at, .badValue)
        }
        damperLevel = try reader.u8("damper level")
        guard damperLevel <= RoleDamper.levelMaximum else {
            throw DecodeError("damper level", at: at + 2, .badValue)
        }
        holdOff = .milliseconds(Int(try reader.u16("hold-off")) * 10)
        station = try Self.station(from: &reader)
    }

    private static func station(from reader: inout ByteReader) throws(DecodeError) -> Station? {
        let start = reader.offset
        let length = try reader.u8("length of a station's address")
        guard length != 0 else { return nil }
        guard length == 4 || length == 16 else { throw DecodeError("length of a station's address", at: start, .badLength) }
        let interface = try reader.u8("a station's interface"), place = try reader.u8("a station's place")
        guard interface < portsMaximum, place < stationsMaximum else {
            throw DecodeError("a station's interface", at: start + 1, .badValue)
        }
        let address: IPAddress =
            length == 4
            ? .v4(IPv4Address(raw: try reader.u32("a station's address")))
            : .v6(IPv6Address(high: try reader.u64("a station's address"), low: try reader.u64("a station's address")))
        return Station(interface: interface, place: place, address: address)
    }
}
