import BGP
import Machine
import Records
import Routing
import Wire

/// Two instances, or more, joined by connections that carry octets with a delay, in virtual time. The engine's and the
/// line card's part is played here: connection numbers, handshakes, next hops that are always reachable.
struct VirtualWire {
    /// One end of a connection.
    struct End: Hashable {
        var node: Int
        var connection: UInt32
    }
    enum Parcel {
        case handshake(from: Int, to: Int, ConnectionID, StreamEndpoint)
        case octets(to: End, [UInt8])
        case fin(to: End)
        case reset(to: End, ConnectionEnd)
        case acknowledgement(to: End, UInt64)
        case opened(End, StreamEndpointID)
    }

    var nodes: [BGPInstance]
    var addresses: [IPAddress]
    var now = Instant.zero
    var delay = Duration.milliseconds(1)
    /// In order of time, then of creation.
    var queue: [(at: Instant, parcel: Parcel)] = []
    /// The other end.
    var partner: [End: End] = [:]
    /// Octets sent, and received, by each end.
    var sent: [End: UInt64] = [:]
    var received: [End: UInt64] = [:]
    var finished: Set<End> = []
    /// Ends whose octets are not taken from the wire: a neighbour that does not read.
    var deaf: Set<Int> = []
    var nextOdd: [UInt32]
    var nextEven: [UInt32]
    /// How many octets of a stream make one input; 0 for whole sends.
    var chunk = 0
    /// Effects of each node as text, in order: what a twin must repeat.
    var trace: [[String]]
    var events: [[String]]
    /// Every octet that each node wrote, by connection.
    var streams: [End: [UInt8]] = [:]
    var listeners: [[StreamEndpoint]]
    /// When set, the node is written and read again after each input.
    var snapshotsEvery = 0
    private var inputs = 0

    init(_ configurations: [BGPConfiguration], addresses: [String], seed: UInt64 = 1) {
        nodes = configurations.indices.map { BGPInstance(seed: seed &+ UInt64($0)) }
        self.addresses = addresses.map { IPAddress($0)! }
        nextOdd = configurations.map { _ in 1 }
        nextEven = configurations.map { _ in 2 }
        trace = configurations.map { _ in [] }
        events = trace
        listeners = configurations.map { _ in [] }
    }

    mutating func start(_ configurations: [BGPConfiguration]) {
        for (i, configuration) in configurations.enumerated() { give(i, .configure(configuration)) }
    }

    /// Hands an input to a node and carries its effects away.
    mutating func give(_ node: Int, _ input: BGPInstance.Input) {
        inputs += 1
        if snapshotsEvery > 0, inputs % snapshotsEvery == 0 {
            var writer = SnapshotWriter()
            nodes[node].write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            let before = nodes[node].digest
            nodes[node] = try! BGPInstance(from: &reader)
            precondition(nodes[node].digest == before, "a restored instance has the same digest")
        }
        var effects: [BGPInstance.Effect] = []
        nodes[node].handle(input, at: now, into: &effects)
        for effect in effects { carry(effect, from: node) }
    }

    private mutating func carry(_ effect: BGPInstance.Effect, from node: Int) {
        switch effect {
        case .listen(let endpoints): listeners[node] = endpoints
        case .connect(let endpoint):
            let id = ConnectionID(nextOdd[node])
            nextOdd[node] += 2
            give(node, .connecting(endpoint.number, id))
            if let target = addresses.firstIndex(of: endpoint.remote) {
                post(.handshake(from: node, to: target, id, endpoint))
            }
        case .send(let id, let slice):
            let end = End(node: node, connection: id.value)
            trace[node].append("send \(id) \(slice.count) \(slice.reduce(0) { ($0 &* 31) &+ Int($1) })")
            streams[end, default: []] += slice
            sent[end, default: 0] += UInt64(slice.count)
            guard let other = partner[end] else { return }
            if chunk == 0 {
                post(.octets(to: other, Array(slice)))
            } else {
                var rest = slice
                while !rest.isEmpty {
                    post(.octets(to: other, Array(rest.prefix(chunk))))
                    rest = rest.dropFirst(chunk)
                }
            }
        case .finish(let id):
            trace[node].append("finish \(id)")
            let end = End(node: node, connection: id.value)
            finished.insert(end)
            if let other = partner[end] { post(.fin(to: other)) }
        case .abort(let id):
            trace[node].append("abort \(id)")
            let end = End(node: node, connection: id.value)
            if let other = partner.removeValue(forKey: end) {
                partner[other] = nil
                post(.reset(to: other, .resetByPeer))
            }
        case .track(let address): give(node, .nextHop(address, .reachable(metric: 0)))
        case .untrack(let address): trace[node].append("untrack \(address)")
        case .routes: preconditionFailure("BGP's routes are taken from it")
        case .event(let event):
            trace[node].append("\(event)")
            events[node].append(event.message)
        }
    }

    private mutating func post(_ parcel: Parcel) {
        let at = now + delay
        let position = queue.firstIndex { $0.at > at } ?? queue.count
        queue.insert((at, parcel), at: position)
    }

    private func identity(_ local: IPAddress, _ localPort: UInt16, _ remote: IPAddress, _ remotePort: UInt16)
        -> ConnectionIdentity
    {
        ConnectionIdentity(
            tuple: ConnectionTuple(
                interface: InterfaceID(0), local: local, localPort: localPort, remote: remote, remotePort: remotePort),
            initialSendSequence: 0, initialReceiveSequence: 0, peerMaximumSegmentSize: 1460, peerWindowShift: nil,
            windowShift: 0, selectiveAcknowledgment: false, timestamps: false, timestampOffset: 0,
            options: TransportOptions())
    }

    private func own(_ node: Int) -> SessionAddresses {
        switch addresses[node] {
        case .v4(let address):
            SessionAddresses(ipv4: address, ipv6: IPv6Address(high: 0x2001_0db8_0000_0000, low: UInt64(address.raw & 255)))
        case .v6(let address):
            SessionAddresses(
                ipv4: IPv4Address(raw: 0x0a00_0000 | UInt32(address.low & 255)), ipv6: address,
                linkLocal: IPv6Address(high: 0xfe80 << 48, low: address.low & 255))
        }
    }

    private mutating func deliver(_ parcel: Parcel) {
        switch parcel {
        case .handshake(let from, let to, let id, let endpoint):
            let near = End(node: from, connection: id.value)
            guard let listener = listeners[to].first(where: { $0.remote == addresses[from] }) else {
                give(from, .closed(id, .refused))
                return
            }
            let far = End(node: to, connection: nextEven[to])
            nextEven[to] += 2
            partner[near] = far
            partner[far] = near
            post(.opened(near, endpoint.number))
            give(
                to,
                .opened(
                    ConnectionID(far.connection), identity(addresses[to], 179, addresses[from], 40000), own(to),
                    listener.number, isOurs: false))
        case .opened(let end, let number):
            guard let other = partner[end] else { return }
            give(
                end.node,
                .opened(
                    ConnectionID(end.connection),
                    identity(addresses[end.node], 40000, addresses[other.node], 179), own(end.node), number, isOurs: true))
        case .octets(let end, let bytes):
            guard let other = partner[end] else { return }
            guard !deaf.contains(end.node) else { return }
            received[end, default: 0] += UInt64(bytes.count)
            post(.acknowledgement(to: other, received[end]!))
            give(end.node, .received(ConnectionID(end.connection), bytes))
        case .acknowledgement(let end, let offset):
            guard partner[end] != nil else { return }
            give(end.node, .acknowledged(ConnectionID(end.connection), offset: offset))
        case .fin(let end):
            guard let other = partner[end] else { return }
            if finished.contains(end) {
                partner[end] = nil
                partner[other] = nil
                give(end.node, .closed(ConnectionID(end.connection), .finished))
                give(other.node, .closed(ConnectionID(other.connection), .finished))
            } else {
                give(end.node, .finished(ConnectionID(end.connection)))
            }
        case .reset(let end, let reason): give(end.node, .closed(ConnectionID(end.connection), reason))
        }
    }

    /// Lets everything happen that happens within `duration`.
    mutating func run(_ duration: Duration) {
        let end = now + duration
        var steps = 0
        while true {
            steps += 1
            precondition(steps < 2_000_000, "the wire never comes to rest")
            let timers = nodes.indices.compactMap { node -> (Instant, Int)? in nodes[node].nextDeadline.map { ($0, node) } }
            let timer = timers.min { (a: (Instant, Int), b: (Instant, Int)) -> Bool in a.0 != b.0 ? a.0 < b.0 : a.1 < b.1 }
            if let first = queue.first, timer == nil || first.at <= timer!.0 {
                guard first.at <= end else { break }
                queue.removeFirst()
                now = max(now, first.at)
                deliver(first.parcel)
            } else if let timer {
                guard timer.0 <= end else { break }
                now = max(now, timer.0)
                give(timer.1, .time)
            } else {
                break
            }
        }
        now = end
    }

    /// Puts octets into a node's established connection as if its neighbour had sent them.
    mutating func inject(_ bytes: [UInt8], into node: Int) {
        let end = partner.keys.filter { $0.node == node }.max { $0.connection < $1.connection }!
        give(node, .received(ConnectionID(end.connection), bytes))
    }

    func state(_ node: Int) -> SessionState { nodes[node].neighborSummaries[0].state }
}

enum Configurations {
    static func node(
        _ asNumber: UInt32, _ id: String, neighbors: [(String, UInt32)], networks: [String] = [],
        _ change: (inout NeighborConfiguration) -> Void = { _ in }
    ) -> BGPConfiguration {
        var configuration = BGPConfiguration(routerAS: ASNumber(asNumber), routerID: RouterID(id)!)
        configuration.ebgpRequiresPolicy = false
        for (address, remoteAS) in neighbors {
            var neighbor = NeighborConfiguration(address: IPAddress(address)!, remoteAS: ASNumber(remoteAS))
            neighbor.families = [FamilyConfiguration(.ipv4Unicast), FamilyConfiguration(.ipv6Unicast)]
            change(&neighbor)
            configuration.neighbors.append(neighbor)
        }
        configuration.networks = networks.map { OriginatedNetwork(prefix: IPPrefix($0)!) }
        return configuration
    }

    static func pair(
        _ change: (inout NeighborConfiguration) -> Void = { _ in }, networks: [String] = ["192.0.2.0/24", "2001:db8:1::/48"]
    ) -> [BGPConfiguration] {
        [
            node(65001, "10.0.0.1", neighbors: [("10.0.0.2", 65002)], networks: networks, change),
            node(65002, "10.0.0.2", neighbors: [("10.0.0.1", 65001)], change),
        ]
    }
}
