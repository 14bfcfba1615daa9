import Machine
import Records
import Wire

/// What every protocol that speaks over TCP connections is to the engine: a machine with these inputs and effects, a digest
/// and a snapshot. The engine holds the instances in one place and knows whose each connection is; none of them knows
/// another, and nothing below the engine knows any of them by name.
///
/// Rules for whoever writes one:
/// - Only input brings change. `now` is the record's time; timers that are due at `now` fire before the input is looked at,
///   in order of (deadline, creation), and `.time` is the input that does nothing else.
/// - A connection belongs to the instance that asked for it or listens for it, from `.connecting` or `.opened` on until
///   `.closed`, or until the instance aborts it. Input of other connections does not come. One that was finished still gets
///   its `.closed`; one that was aborted gets nothing more.
/// - Octets come in order, in pieces of any length: what is not a whole message yet is kept, and what is kept is bounded.
/// - A stream takes what is sent, whether or not the peer reads. Whoever sends more than a message now and then looks at
///   `.acknowledged` and holds back.
/// - `digest` changes with everything that the twin must have too, in O(1) per change where the state is large.
/// - A copy of the machine is its snapshot; `write` and `init(from:)` take it across the channel. One that was restored
///   behaves octet for octet as the one that grew up.
/// - What a peer sends can cost it its session and nothing else; counters say why. A message that was fatal to a controller
///   (`.fault`) is known when it comes again, by its octets and without the decoder that died of it.
public protocol StreamProtocol: Machine, Snapshotting, Sendable
where Input == StreamProtocolInput<Configuration>, Effect == StreamProtocolEffect {
    associatedtype Configuration: Hashable, Sendable, Codable

    /// - Parameter seed: random per pair: hash seeds, jitter.
    init(seed: UInt64)
    var digest: StateDigest { get }
    /// Where the number of the message at work is noted, from 1 within its record. No part of the state.
    var progress: ProgressMark { get set }
    /// Failure injection, for a world that has many routers in one process: the message within its record that would have
    /// ended the process, if any would have. No part of the state.
    var metTrap: Int? { get }
}

/// What the engine tells a stream protocol.
public enum StreamProtocolInput<Configuration: Sendable>: Sendable {
    /// The whole configuration; it replaces the one before, and sessions whose own parameters did not change stay up. `nil`
    /// ends the protocol in good order. The interfaces' addresses are the router's own.
    case configure(Configuration?, [InterfaceConfiguration] = [])
    /// Answers `.connect`: the number of the connection that is being opened.
    case connecting(StreamEndpointID, ConnectionID)
    /// Answers `.connect`: there is no way to the peer now. The machine tries again in its time.
    case cannotConnect(StreamEndpointID)
    /// A handshake is complete. `isOurs`: the instance had asked for it.
    case opened(ConnectionID, ConnectionIdentity, SessionAddresses, StreamEndpointID, isOurs: Bool)
    /// The next octets, in order.
    case received(ConnectionID, [UInt8])
    /// The peer has our stream up to this offset.
    case acknowledged(ConnectionID, offset: UInt64)
    /// The peer sends nothing more. It may still read.
    case finished(ConnectionID)
    /// The connection is gone, or never came to be.
    case closed(ConnectionID, ConnectionEnd)
    /// Answers `.track`, at once.
    case nextHop(IPAddress, NextHopState)
    /// The states of tracked next hops that changed together.
    case nextHops([(address: IPAddress, state: NextHopState)])
    /// News of the routes that this instance announces for others, after policy.
    case redistribute([RedistributionUpdate])
    /// BFD says that the path to the peer of this address works, or no longer does. `isIndependent`: at neither end it shares
    /// fate with the control plane (RFC 5882 §4.3.1).
    case bfd(IPAddress, isUp: Bool, isIndependent: Bool = false)
    /// What the RPKI says of origins, and the prefixes under which it says something else than before. The table is the
    /// receiver's until it is asked back.
    case payloads(VRPTable, changed: [IPPrefix])
    case command(EngineCommand)
    /// Stands where a record of this connection stood that killed the other controller, with the octets of the stream that it
    /// brought, and which message that ends in them was fatal, from 1; 0 if that is not known. The session ends, and what it
    /// said is known when it comes again.
    case fault(ConnectionID, [UInt8], message: Int)
    /// The pair has a standby in lock step, or has none.
    case redundancy(Bool)
    /// Another controller speaks as the router from here on.
    case takenOver
    /// The memory of the active is at its limit: the peer that costs the most is let go of.
    case memoryExhausted
    /// Nothing but the time.
    case time
}

/// What every stream protocol can be told alike, whatever its configuration.
public typealias StreamProtocolNews = StreamProtocolInput<Never>

extension StreamProtocolInput where Configuration == Never {
    /// The same for a protocol with a configuration of its own.
    @inlinable
    public func input<Other: Sendable>(_: Other.Type) -> StreamProtocolInput<Other> {
        switch self {
        case .configure(_, let interfaces): .configure(nil, interfaces)
        case .connecting(let endpoint, let connection): .connecting(endpoint, connection)
        case .cannotConnect(let endpoint): .cannotConnect(endpoint)
        case .opened(let connection, let identity, let addresses, let endpoint, let isOurs):
            .opened(connection, identity, addresses, endpoint, isOurs: isOurs)
        case .received(let connection, let octets): .received(connection, octets)
        case .acknowledged(let connection, let offset): .acknowledged(connection, offset: offset)
        case .finished(let connection): .finished(connection)
        case .closed(let connection, let end): .closed(connection, end)
        case .nextHop(let address, let state): .nextHop(address, state)
        case .nextHops(let changes): .nextHops(changes)
        case .redistribute(let updates): .redistribute(updates)
        case .bfd(let address, let isUp, let isIndependent): .bfd(address, isUp: isUp, isIndependent: isIndependent)
        case .payloads(let table, let changed): .payloads(table, changed: changed)
        case .command(let command): .command(command)
        case .fault(let connection, let octets, let message): .fault(connection, octets, message: message)
        case .redundancy(let isRedundant): .redundancy(isRedundant)
        case .takenOver: .takenOver
        case .memoryExhausted: .memoryExhausted
        case .time: .time
        }
    }
}

/// What a stream protocol asks of the engine.
public enum StreamProtocolEffect: Sendable {
    /// With whom the instance speaks, the complete list, in ascending order of remote address. The router keeps a way to each
    /// of them, and accepts connections from those that have a local port. Who comes from a range, and is no other's, is
    /// `.opened` with the endpoint of the range.
    case listen([StreamEndpoint])
    /// Answered by `.connecting` or `.cannotConnect`, within the same record.
    case connect(StreamEndpoint)
    case send(ConnectionID, ArraySlice<UInt8>)
    /// FIN after what was sent.
    case finish(ConnectionID)
    /// RST now; also withdraws a connect that is under way.
    case abort(ConnectionID)
    /// From now on the state of this next hop is of interest; answered by `.nextHop` at once and by `.nextHops` at changes.
    case track(IPAddress)
    case untrack(IPAddress)
    /// News of the instance's own routes. BGP does not come this way: its best routes are taken from it in flat form, since
    /// they are the router's largest table.
    case routes([RouteUpdate])
    case event(Event)
}

/// What a stream protocol connects or listens to.
public struct StreamEndpoint: Hashable, Sendable {
    /// Of the instance's own.
    public var number: StreamEndpointID
    /// `nil`: the engine takes the address of the interface that reaches the peer.
    public var local: IPAddress?
    /// On which connections are accepted; 0: none are. A connection that is asked for gets a port of the engine's choice.
    public var localPort: UInt16
    public var remote: IPAddress
    /// `remote` is the first address of a range with a prefix of this length, from which connections are accepted.
    public var remoteLength: UInt8?
    /// Where to connect to.
    public var remotePort: UInt16
    public var options: TransportOptions

    public init(
        number: StreamEndpointID, local: IPAddress?, localPort: UInt16, remote: IPAddress, remoteLength: UInt8? = nil,
        remotePort: UInt16, options: TransportOptions
    ) {
        self.remoteLength = remoteLength
        self.number = number
        self.local = local
        self.localPort = localPort
        self.remote = remote
        self.remotePort = remotePort
        self.options = options
    }
}

/// What the router knows about the way to a next hop (RFC 4271 §9.1.2.1).
public enum NextHopState: Hashable, Sendable {
    case unreachable
    /// With the interior cost that RFC 4271 §9.1.2.2 (e) compares; 0 on a connected network.
    case reachable(metric: UInt32)
}

/// Our own addresses on the interface that reaches a peer: what BGP's NEXT_HOP says when we name ourselves.
public struct SessionAddresses: Hashable, Sendable {
    public var ipv4: IPv4Address?
    public var ipv6: IPv6Address?
    /// Only when the peer is on the link (RFC 2545 §3).
    public var linkLocal: IPv6Address?
    public init(ipv4: IPv4Address? = nil, ipv6: IPv6Address? = nil, linkLocal: IPv6Address? = nil) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.linkLocal = linkLocal
    }
}

extension StreamEndpoint: Fielded {
    public static var blank: Self {
        .init(
            number: StreamEndpointID(0), local: nil, localPort: 0, remote: .blank, remotePort: 0, options: .blank)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&number, \.value, StreamEndpointID.init)
        try visitor.field(&local)
        try visitor.field(&localPort)
        try visitor.field(&remote)
        try visitor.field(&remotePort)
        try visitor.field(&options)
        if visitor.schema == 1 { visitor.derived(remoteLength) } else { try visitor.field(&remoteLength) }
    }

    /// The addresses from which connections are accepted, if they are a range.
    public var range: IPPrefix? { remoteLength.map { IPPrefix(remote, $0) } }
}

extension SessionAddresses: Fielded {
    public static var blank: Self { .init() }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&ipv4, \.raw, IPv4Address.init(raw:))
        for path in [\SessionAddresses.ipv6, \.linkLocal] {
            var address = self[keyPath: path].map { IPAddress.v6($0) }
            try visitor.field(&address)
            guard visitor.isReading else { continue }
            switch address {
            case .v6(let address): self[keyPath: path] = address
            case .v4: try visitor.require(false, "address family")
            case nil: self[keyPath: path] = nil
            }
        }
    }
}
