import Machine
import Wire

/// One input of the engine, in the order in which both controllers apply it.
public struct Record: Sendable, Equatable {
    public var index: LogIndex
    /// Router time when the input came in. Never less than that of the record before.
    public var time: Instant
    public var body: RecordBody

    public init(index: LogIndex, time: Instant, body: RecordBody) {
        self.index = index
        self.time = time
        self.body = body
    }
}

public enum RecordBody: Sendable, Equatable {
    /// Only the time passed: timers that are due fire. (Every other record fires them first, too.)
    case time
    /// A peer's connection to a listener is established.
    case tcpAccepted(ConnectionID, ConnectionIdentity)
    /// A connection that the engine asked for is established.
    case tcpConnected(ConnectionID, ConnectionIdentity)
    /// The next in-order octets of a connection; at most 65,536. `peerTimestamp` is the newest TSval in sequence.
    case tcpReceived(ConnectionID, bytes: [UInt8], peerTimestamp: UInt32)
    /// The peer acknowledged our stream up to this offset. Coalesced: not every ACK makes a record.
    case tcpAcknowledged(ConnectionID, offset: UInt64)
    /// The peer's FIN, in order. It may still read.
    case tcpPeerFinished(ConnectionID)
    /// The connection is gone, or never came to be.
    case tcpClosed(ConnectionID, ConnectionEnd)
    /// Carrier of an interface came or went, as the active sees it.
    case interfaceState(InterfaceID, isUp: Bool)
    /// A whole configuration, as the engine's own encoding; it replaces the one in force.
    case configure(revision: UInt64, [UInt8])
    /// An operator's command that changes engine state.
    case command(EngineCommand)
    /// This controller speaks as the router from here on. `isFresh`: sessions start anew (stale takeover, DESIGN §8).
    case mastership(ControllerID, Epoch, isFresh: Bool)
    /// Stands where a poisonous record stood: the connection or the sender of the packet, if it had one, suffers a fault
    /// in its place, and what was fatal is known when it comes again.
    case quarantined(Poison)
    /// A packet of a routing protocol that is wanted on the interface.
    case packetReceived(ReceivedPacket)
    /// The pair has a standby in lock step, or has none any more.
    case redundancy(Bool)
    /// A BFD session changed on the line card: its state, or what was negotiated.
    case bfd(BFDReport)
    /// The memory of the active is at its limit: one neighbour is let go of. Each such record costs one.
    case memoryExhausted
    /// A neighbour that the router sends to said where it is, for the first time or something new.
    case neighbor(NeighborBinding)
}

/// What a record held that killed the engine that applied it.
public enum Poison: Sendable, Equatable {
    /// With what it brought, if that is what was fatal: octets of the stream, and which message in them, from 1; 0 if that is
    /// not known.
    case connection(ConnectionID, octets: [UInt8] = [], message: UInt16 = 0)
    /// `message`: which LSA or entry in it, from 1; 0 if that is not known.
    case packet(ReceivedPacket, message: UInt16 = 0)
    /// What the line card reported of the BFD session with this discriminator.
    case session(UInt32)
    /// Timers of the interior gateway protocol of this number, which were due before the record itself was looked at: a
    /// calculation, say. The record is as it was; the protocol is stopped before its timers fire.
    indirect case timers(UInt8, RecordBody)
    /// Something else, which no peer sent.
    case other
}

extension Poison {
    /// Numbers of messages from here on stand for timers of a protocol: see `timers`.
    public static let firstTimersMessage: UInt16 = 0xff00
}

extension RecordBody {
    /// What the record brings besides the fault of a protocol's timers.
    public var carried: RecordBody {
        if case .quarantined(.timers(_, let body)) = self { return body }
        return self
    }
}

/// What an operator can ask of the engine besides configuration. Neighbours are named by address.
public enum EngineCommand: Sendable, Equatable, Hashable, Codable {
    /// Administrative reset with RFC 9003's text.
    case clearNeighbor(address: String, reason: String)
    /// Ask for routes again (RFC 2918), or run them through policy again.
    case softClearIn(address: String)
    case softClearOut(address: String)
    /// Ends the adjacencies of a protocol with the neighbour of this address or system identifier, or all of them when
    /// it is empty; they form anew. What was remembered of it as fatal is forgotten.
    case clearAdjacency(PacketProtocol, neighbor: String)
    /// Ends the BFD sessions with the neighbour of this address, or all of them when it is empty; they begin anew.
    case clearSession(neighbor: String)
    /// Has the exchange with the RPKI cache of this address, or with all of them when it is empty, begin anew. What was
    /// remembered of it as fatal is forgotten.
    case clearCache(address: String)
    /// Failure injection: the engine never returns from this record. Only with `testing` enabled in the configuration.
    case testHang
    /// Failure injection: the engine traps on this record.
    case testTrap
}

/// What the engine asks of the world. It leaves under the index of the record that caused it, once that is committed.
public enum EngineEffect: Sendable {
    /// The complete list of the router's interfaces; replaces the one before.
    case interfaces([InterfaceConfiguration])
    /// The complete list of listeners; replaces the one before.
    case listeners([Listener])
    /// The complete list of routes by which the router itself reaches what is on no connected network; replaces the
    /// one before. Longest match first is up to the line card.
    case gateways([Gateway])
    case tcpConnect(ConnectRequest)
    /// Appends octets to the connection's stream.
    case tcpSend(ConnectionID, ArraySlice<UInt8>)
    /// FIN after what was sent.
    case tcpFinish(ConnectionID)
    /// RST now; unsent octets are lost. Also withdraws a connect that is under way.
    case tcpAbort(ConnectionID)
    case send(OutgoingPacket)
    /// The complete list of packets wanted from interfaces, ascending, each protocol once; replaces the one before.
    case subscriptions([PacketSubscription])
    /// Changes of the BFD sessions on the line card, in order.
    case bfdSessions([BFDSessionChange])
    case event(Event)
}

/// An effect and the record that caused it.
public struct IndexedEffect: Sendable {
    public var index: LogIndex
    public var effect: EngineEffect
    @inlinable public init(index: LogIndex, effect: EngineEffect) {
        self.index = index
        self.effect = effect
    }
}

/// An interface of the router as the network sees it. Which device of a host carries it is that host's own business.
public struct InterfaceConfiguration: Hashable, Sendable, Codable {
    public struct Address: Hashable, Sendable, Codable {
        public var address: IPAddress
        public var prefixLength: UInt8
        public init(address: IPAddress, prefixLength: UInt8) {
            self.address = address
            self.prefixLength = prefixLength
        }
    }
    public var name: String
    public var virtualMAC: MACAddress
    /// 0 for untagged, else the 802.1Q VLAN 1…4094.
    public var vlan: UInt16
    /// IP MTU in octets, 1280…9216.
    public var mtu: UInt16
    public var addresses: [Address]
    /// Addresses of the router that belong to no network: no device carries it and it is always up. Absent means `false`.
    public var loopback: Bool?

    public var isLoopback: Bool { loopback == true }

    public init(
        name: String, virtualMAC: MACAddress, vlan: UInt16 = 0, mtu: UInt16 = 1500, addresses: [Address],
        isLoopback: Bool = false
    ) {
        loopback = isLoopback ? true : nil
        self.name = name
        self.virtualMAC = virtualMAC
        self.vlan = vlan
        self.mtu = mtu
        self.addresses = addresses
    }
}

/// A next hop for the router's own packets. Transit packets are not the line card's business.
public struct Gateway: Hashable, Sendable {
    public var prefix: IPPrefix
    /// On a connected network.
    public var nextHop: IPAddress

    public init(prefix: IPPrefix, nextHop: IPAddress) {
        self.prefix = prefix
        self.nextHop = nextHop
    }
}

/// Everything from which a line card rebuilds itself when its controller takes over (DESIGN §4).
public struct LineCardImage: Sendable {
    public struct Connection: Sendable {
        public var connection: ConnectionID
        public var identity: ConnectionIdentity
        /// Octets received in order, all of them in the log.
        public var receivedOffset: UInt64
        public var peerFinished: Bool
        public var peerTimestamp: UInt32
        public var stream: TransmitStream

        public init(
            connection: ConnectionID, identity: ConnectionIdentity, receivedOffset: UInt64, peerFinished: Bool,
            peerTimestamp: UInt32, stream: TransmitStream
        ) {
            self.connection = connection
            self.identity = identity
            self.receivedOffset = receivedOffset
            self.peerFinished = peerFinished
            self.peerTimestamp = peerTimestamp
            self.stream = stream
        }
    }
    /// A connection that ended in order a short while ago (RFC 9293 §3.3.2, TIME-WAIT): enough to acknowledge a FIN that
    /// comes again.
    public struct TimeWait: Sendable, Hashable {
        public var connection: ConnectionID
        public var identity: ConnectionIdentity
        /// Octets sent and acknowledged; our FIN lies after them.
        public var sentOffset: UInt64
        /// Octets received; the peer's FIN lies after them.
        public var receivedOffset: UInt64
        public var peerTimestamp: UInt32
        /// Time of the record that ended it.
        public var since: Instant

        public init(
            connection: ConnectionID, identity: ConnectionIdentity, sentOffset: UInt64, receivedOffset: UInt64,
            peerTimestamp: UInt32, since: Instant
        ) {
            self.connection = connection
            self.identity = identity
            self.sentOffset = sentOffset
            self.receivedOffset = receivedOffset
            self.peerTimestamp = peerTimestamp
            self.since = since
        }
    }
    /// All effects of records up to this one are contained; later ones come as effects.
    public var index: LogIndex = .zero
    public var interfaces: [InterfaceConfiguration] = []
    public var listeners: [Listener] = []
    public var gateways: [Gateway] = []
    /// Ascending.
    public var subscriptions: [PacketSubscription] = []
    /// Where neighbours were last, at most one of each address of an interface.
    public var neighbors: [NeighborBinding] = []
    /// In ascending order of their discriminators, each with the status from which it goes on.
    public var bfdSessions: [BFDSession] = []
    public var pendingConnects: [ConnectRequest] = []
    public var connections: [Connection] = []
    /// Oldest first.
    public var timeWaits: [TimeWait] = []
    /// The next even ConnectionID for an accepted connection.
    public var nextAcceptedConnection = ConnectionID(2)
    /// Key for RFC 6528 sequence numbers and timestamp offsets of accepted connections; the same on both controllers.
    public var sequenceSecret: UInt64 = 0

    public init() {}
}
