import BGP
import Machine
import Records
import Routing
import Wire

/// One instance and a neighbour played by hand, octet by octet.
struct Driver {
    var instance: BGPInstance
    var now = Instant.zero
    var effects: [BGPInstance.Effect] = []
    /// Sees each step after it.
    var observer: (borrowing Driver, BGPInstance.Input, [BGPInstance.Effect]) -> Void = { _, _, _ in }
    /// The instance is written and read again after each input, as when another controller goes on.
    var isHandedOver = false
    let remote = IPAddress("10.0.0.2")!
    private(set) var connection = ConnectionID(2)

    init(isInternal: Bool = false, configuration change: (inout BGPConfiguration) -> Void = { _ in }) {
        var configuration = Configurations.node(
            65000, "10.0.0.1", neighbors: [("10.0.0.2", isInternal ? 65000 : 65001)]
        ) { $0.passive = true }
        change(&configuration)
        instance = BGPInstance(seed: 7)
        give(.configure(configuration))
    }

    mutating func give(_ input: BGPInstance.Input) {
        var out: [BGPInstance.Effect] = []
        instance.handle(input, at: now, into: &out)
        effects += out
        if isHandedOver { handOver() }
        observer(self, input, out)
        for case .track(let address) in out { give(.nextHop(address, .reachable(metric: 0))) }
    }

    mutating func handOver() {
        var writer = SnapshotWriter()
        instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let digest = instance.digest
        instance = try! BGPInstance(from: &reader)
        precondition(instance.digest == digest, "a restored instance has the same digest")
    }

    mutating func wait(_ duration: Duration) {
        let end = now + duration
        while let next = instance.nextDeadline, next <= end {
            now = max(now, next)
            give(.time)
        }
        now = end
    }

    static func identity(_ remote: IPAddress) -> ConnectionIdentity {
        ConnectionIdentity(
            tuple: ConnectionTuple(
                interface: InterfaceID(0), local: IPAddress("10.0.0.1")!, localPort: 179, remote: remote,
                remotePort: 4000),
            initialSendSequence: 0, initialReceiveSequence: 0, peerMaximumSegmentSize: 1460, peerWindowShift: nil,
            windowShift: 0, selectiveAcknowledgment: false, timestamps: false, timestampOffset: 0,
            options: TransportOptions())
    }

    /// The neighbour connects.
    mutating func accept(_ id: UInt32 = 2) {
        connection = ConnectionID(id)
        give(
            .opened(
                connection, Self.identity(remote),
                SessionAddresses(ipv4: IPv4Address("10.0.0.1"), ipv6: IPv6Address("2001:db8::1")),
                StreamEndpointID(0), isOurs: false))
    }

    func open(_ change: (inout OpenMessage) -> Void = { _ in }) -> [UInt8] {
        var capabilities = Capabilities()
        capabilities.hasMultiprotocol = true
        capabilities.families = [.ipv4Unicast, .ipv6Unicast]
        capabilities.routeRefresh = true
        let asNumber = instance.configuration!.neighbors[0].remoteAS
        capabilities.fourOctetAS = asNumber
        var open = OpenMessage(
            asNumber: asNumber, holdTime: 90, identifier: RouterID("10.0.0.2")!, capabilities: capabilities)
        change(&open)
        return open.encoded
    }

    static let keepalive = Build.message(4, [])

    mutating func establish(_ id: UInt32 = 2) {
        accept(id)
        receive(open())
        receive(Self.keepalive)
        precondition(state == .established)
        effects = []
    }

    mutating func receive(_ bytes: [UInt8]) { give(.received(connection, bytes)) }

    var state: SessionState { instance.neighborSummaries[0].state }
    var detail: BGPNeighborView { instance.neighborView(remote, at: now)! }
    var prefixes: [Int] { detail.summary.families.map(\.received) }

    /// What went out on the connection since `effects` was last emptied.
    var sent: [UInt8] {
        effects.reduce(into: []) { bytes, effect in
            if case .send(let id, let slice) = effect, id == connection { bytes += slice }
        }
    }
    var notification: NotificationMessage? {
        let bytes = sent
        var position = 0
        while position + 19 <= bytes.count {
            let length = Int(bytes[position + 16]) << 8 | Int(bytes[position + 17])
            if bytes[position + 18] == 3 {
                let body = Array(bytes[(position + 19)..<(position + length)])
                return NotificationMessage(body: body.span.bytes)
            }
            position += length
        }
        return nil
    }
    var isFinished: Bool {
        effects.contains { if case .finish(let id) = $0 { id == connection } else { false } }
    }
    var isAborted: Bool {
        effects.contains { if case .abort(let id) = $0 { id == connection } else { false } }
    }
    var messages: [String] {
        effects.compactMap { if case .event(let event) = $0 { event.message } else { nil } }
    }
}
