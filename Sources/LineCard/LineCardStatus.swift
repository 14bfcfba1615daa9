import BFD
import Machine
import Records
import TCP
import Wire

/// Why a received frame or packet went no further.
public enum DropReason: Int, Sendable, Hashable, CaseIterable, Codable {
    /// The line card does not speak as the router.
    case silent
    case unknownInterface
    /// For another station; promiscuous capture sees everybody's.
    case otherStation
    /// Our own source MAC: our transmission captured back, or the twin's.
    case ownSource
    case malformedEthernet
    case wrongVLAN
    /// An LLC frame that lies about its length.
    case llc
    case unknownType
    case malformedARP
    case malformedIPv4
    case malformedIPv6
    /// A destination address that is not ours, or a group of which we are no member.
    case otherDestination
    /// A source address that nobody can have.
    case badSource
    /// A unicast packet in a broadcast or multicast frame (RFC 1122 §3.3.6).
    case groupFrame
    /// RFC 8200 extension headers beyond the bounds, or with an option that must be obeyed.
    case extensionHeader
    case fragmentRefused
    case fragmentTimeout
    case malformedICMP
    /// An ICMP message or a UDP port that nothing here is for.
    case unknownProtocol
    case rateLimited
    case malformedUDP
    /// An IP protocol or LLC header that nobody wants from the interface.
    case notSubscribed
    /// More packets of a protocol from one interface than the log is to hold.
    case flood
    /// A packet that is wanted and longer than any interface's MTU.
    case packetTooLong
}

/// What the line card counted since it was made. Not replicated.
public struct LineCardCounters: Sendable, Equatable {
    public var framesIn: UInt64 = 0
    public var octetsIn: UInt64 = 0
    public var framesOut: UInt64 = 0
    public var octetsOut: UInt64 = 0
    public var arpIn: UInt64 = 0
    public var neighborDiscoveryIn: UInt64 = 0
    public var echoRequests: UInt64 = 0
    public var icmpErrorsIn: UInt64 = 0
    public var icmpErrorsOut: UInt64 = 0
    public var fragmentsIn: UInt64 = 0
    public var reassembled: UInt64 = 0
    public var conflicts: UInt64 = 0
    public var announcements: UInt64 = 0
    public var solicitations: UInt64 = 0
    /// Frames of ours that found no answering neighbour, no route, or no carrier.
    public var unresolved: UInt64 = 0
    public var unroutable: UInt64 = 0
    public var linkDown: UInt64 = 0
    /// Packets that became records, and those that were sent, by protocol.
    public var packetsIn = PerProtocol()
    public var packetsOut = PerProtocol()
    /// Indexed by `DropReason`.
    private var dropped = [UInt64](repeating: 0, count: DropReason.allCases.count)

    public init() {}

    public struct PerProtocol: Sendable, Equatable {
        /// Those that were counted, in the order in which they came first: as few as are subscribed to.
        public private(set) var counts: [(packetProtocol: PacketProtocol, count: UInt64)] = []
        public init() {}
        public subscript(number: PacketProtocol) -> UInt64 {
            get { counts.first { $0.packetProtocol == number }?.count ?? 0 }
            set {
                if let i = counts.firstIndex(where: { $0.packetProtocol == number }) {
                    counts[i].count = newValue
                } else {
                    counts.append((number, newValue))
                }
            }
        }
        public static func == (a: Self, b: Self) -> Bool {
            a.counts.elementsEqual(b.counts) { $0.packetProtocol == $1.packetProtocol && $0.count == $1.count }
        }
    }

    public subscript(reason: DropReason) -> UInt64 {
        get { dropped[reason.rawValue] }
        set { dropped[reason.rawValue] = newValue }
    }
    /// All drops of received frames and packets.
    public var drops: UInt64 { dropped.reduce(0, +) }
}

/// A view for management; making it walks the tables, so it is asked for seldom.
public struct LineCardStatus: Sendable, Equatable {
    public struct Interface: Sendable, Equatable {
        public var id: InterfaceID
        public var configuration: InterfaceConfiguration
        public var linkLocal: IPv6Address
        public var isUp: Bool
    }
    public struct Neighbor: Sendable, Equatable {
        public enum State: String, Sendable, Codable { case incomplete, reachable, probing }
        public var interface: InterfaceID
        public var address: IPAddress
        /// `nil` while incomplete.
        public var mac: MACAddress?
        public var state: State
        public var queued: Int
    }
    public var isSpeaking: Bool
    public var interfaces: [Interface]
    /// In order of interface and address.
    public var neighbors: [Neighbor]
    public var counters: LineCardCounters
    public var tcp: TCPCounters
    public var connections: [TCPConnectionStatus]
    public var bfd: BFDCounters
    /// In order of the peers.
    public var bfdSessions: [BFDSessionActivity]
}

extension LineCard {
    public var status: LineCardStatus {
        var known: [LineCardStatus.Neighbor] = []
        for entry in neighbors.entries {
            let state: LineCardStatus.Neighbor.State
            switch entry.state {
            case .free: continue
            case .incomplete: state = .incomplete
            case .reachable: state = .reachable
            case .probing, .recalled: state = .probing
            }
            known.append(
                .init(
                    interface: entry.key.interface, address: entry.key.address,
                    mac: entry.state == .incomplete ? nil : entry.mac, state: state, queued: entry.queue.count))
        }
        known.sort { $0.interface != $1.interface ? $0.interface < $1.interface : $0.address < $1.address }
        return LineCardStatus(
            isSpeaking: isSpeaking,
            interfaces: interfaces.map {
                .init(id: $0.id, configuration: $0.configuration, linkLocal: $0.linkLocal, isUp: isUp($0.id))
            },
            neighbors: known, counters: counters, tcp: tcp.counters, connections: tcp.connectionStatuses(),
            bfd: bfd.counters, bfdSessions: bfd.activities)
    }
}
