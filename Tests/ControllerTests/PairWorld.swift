import Controller
import Engine
import Machine
import Records
import Redundancy
import Wire

/// Two controllers, their engines, a channel, a lease file and a segment, under virtual time.
///
/// Small on purpose: every delay is constant, so that a test can say what happens when. The simulator has the weather.
final class PairWorld {
    final class EngineBox {
        var engine: Engine
        init(seed: UInt64) { engine = Engine(seed: seed) }
    }

    final class Node {
        let id: ControllerID
        var controller: Controller
        var engine: EngineBox
        var isAlive = true
        var isFrozen = false
        var lease: (epoch: Epoch, until: Instant) = (.zero, .zero)
        var works: [EngineWork] = []
        var isBusy = false
        /// The engine never comes back from a record that it is given while this is set.
        var isHanging = false
        /// Falsifies the engine's digest from its next report on.
        var isDigestWrong = false
        var gasp: [UInt8]?
        var key: PairKey?
        /// One device carries all interfaces.
        var segments = SegmentMap(bindings: ["lan", "lan2"].map { .init(name: $0, device: "eth0") })
        var lastEpoch = Epoch.zero
        /// Frames that came in, for tests that record.
        var heard: [[UInt8]] = []
        var frames: [(at: Instant, epoch: Epoch, octets: [UInt8])] = []
        var answers: [(OperatorRequestID, OperatorAnswer)] = []
        var configured: [ConfigurationPosition] = []
        var mirrored: [(UInt64, [UInt8])] = []
        var mirrorAnswers: [(UInt64, String?)] = []
        var exits: [String] = []
        var states: [ControllerState] = []
        var held: [() -> Void] = []
        var starts = 0

        init(id: ControllerID, controller: Controller) {
            self.id = id
            self.controller = controller
            engine = EngineBox(seed: 1)
        }
        var state: ControllerState { controller.state }
    }

    private struct Entry {
        var at: Instant
        var serial: Int
        var action: () -> Void
    }

    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var queue: [Entry] = []
    private var serial = 0
    let nodes: [Node]
    var a: Node { nodes[0] }
    var b: Node { nodes[1] }

    /// One way.
    var channelDelay: Duration = .microseconds(50)
    var engineDelay: Duration = .microseconds(20)
    var snapshotDelay: Duration = .milliseconds(1)
    var isChannelCut = false
    var isSegmentCut = false
    /// Datagrams of the redundancy link are swallowed; the channel's transport is not.
    var areDatagramsCut = false
    var losesDatagram: () -> Bool = { false }
    /// The host of a dead process runs on and refuses datagrams; a host without power does not.
    var answersForTheDead = true
    /// Octets of the channel are swallowed in this direction, the transport stays up.
    var isMuted = [false, false]
    private var channelGeneration = 0
    /// Who closes a connection has its last octets delivered.
    private var orderlyEnd: (generation: Int, by: ControllerID)?
    private(set) var isChannelUp = false
    var reconnects = true
    var lease = LeaseTable()
    var leaseDuration: Duration = .milliseconds(40)
    /// Answers to the arbiter's requests are withheld.
    var isArbiterDown = false
    let configure: (inout ControllerConfiguration) -> Void
    /// `seconds node text`, for events of level notice and above.
    private(set) var trace: [String] = []
    private(set) var events: [(node: ControllerID, event: Event)] = []
    /// Everything on the channel, for tests that look at its order.
    private(set) var messages: [(from: ControllerID, message: ChannelMessage)] = []
    /// Changes messages on their way; `nil` drops.
    var tamper: ((ControllerID, ChannelMessage) -> ChannelMessage?)?

    init(arbiter: ArbiterKind = .leasefile, configure: @escaping (inout ControllerConfiguration) -> Void = { _ in }) {
        let withArbiter: (inout ControllerConfiguration) -> Void = {
            $0.arbiter = arbiter
            configure(&$0)
        }
        self.configure = withArbiter
        nodes = ControllerID.allCases.map {
            Node(id: $0, controller: Controller(configuration: Self.configuration($0, start: 0, withArbiter)))
        }
    }

    static func configuration(
        _ id: ControllerID, start: Int, _ change: (inout ControllerConfiguration) -> Void
    ) -> ControllerConfiguration {
        let nonce = UInt64(id.rawValue) * 1000 + UInt64(start) + 1
        var configuration = ControllerConfiguration(
            id: id, routerName: "r1", pairID: 77, bootNonce: nonce, randomSeed: nonce &* 7919)
        configuration.segmentCount = 1
        configuration.bootWait = .milliseconds(200)
        configuration.rejoinWait = .milliseconds(50)
        configuration.initialConfiguration = (1, Self.router("192.0.2.1"))
        change(&configuration)
        return configuration
    }

    /// A router with one interface, as the engine wants it.
    static func router(_ address: String) -> [UInt8] {
        let interface = InterfaceConfiguration(
            name: "lan", virtualMAC: MACAddress("02:00:00:00:00:01")!,
            addresses: [.init(address: IPAddress(address)!, prefixLength: 24)])
        return try! RouterConfiguration(interfaces: [interface], testing: .init(isEnabled: true)).encoded()
    }

    /// With static routes whose next hops BFD watches.
    static func watchedRouter(_ neighbors: [String]) -> [UInt8] {
        var router = try! RouterConfiguration(decoding: router("192.0.2.1"))
        for (n, neighbor) in neighbors.enumerated() {
            let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(10, UInt8(n), 0, 0), 16))
            router.staticRoutes.append(
                StaticRouteConfiguration(prefix: prefix, destination: .nextHop(IPAddress(neighbor)!), bfd: ""))
        }
        return try! router.encoded()
    }

    // MARK: time

    func schedule(_ delay: Duration, _ action: @escaping () -> Void) {
        serial += 1
        queue.append(Entry(at: now + delay, serial: serial, action: action))
    }

    func run(_ duration: Duration) { run(until: now + duration) }

    func run(until end: Instant) {
        while true {
            var next: Instant? = nil
            var index: Int? = nil
            for (i, entry) in queue.enumerated() {
                if index == nil || entry.at < queue[index!].at
                    || entry.at == queue[index!].at && entry.serial < queue[index!].serial
                {
                    index = i
                }
            }
            if let index { next = queue[index].at }
            var due: Node?
            for node in nodes where node.isAlive && !node.isFrozen {
                // A deadline in the past is now; the world does not run backwards.
                if let deadline = node.controller.nextDeadline.map({ max($0, now) }), next == nil || deadline < next! {
                    next = deadline
                    due = node
                }
            }
            guard let next, next <= end else { break }
            now = max(now, next)
            if let due {
                give(.time, to: due)
            } else {
                queue.remove(at: index!).action()
            }
        }
        now = end
    }

    /// Runs until it holds, at most this long. Returns whether it does.
    @discardableResult
    func run(_ maximum: Duration, until condition: () -> Bool) -> Bool {
        let end = now + maximum
        while now < end {
            if condition() { return true }
            run(.microseconds(100))
        }
        return condition()
    }

    // MARK: the life of processes

    func start(failedTests: [[String]] = [[], []]) {
        for node in nodes { give(.start(failedTests: failedTests[Int(node.id.rawValue)]), to: node) }
        connect()
    }

    func connect() {
        guard !isChannelUp, !isChannelCut, nodes.allSatisfy({ $0.isAlive }) else { return }
        isChannelUp = true
        channelGeneration += 1
        for node in nodes { deliver(.channelOpened, to: node) }
    }

    func closeChannel(_ reason: String = "closed", deadProcess: ControllerID? = nil) {
        guard isChannelUp else { return }
        isChannelUp = false
        channelGeneration += 1
        for node in nodes where node.isAlive {
            let start = node.starts
            schedule(channelDelay) { [self] in
                // The end of a connection is news for the process that had it.
                guard node.starts == start else { return }
                deliver(.channelClosed(reason: reason, isProcessDead: deadProcess == node.id.other), to: node)
            }
        }
        if reconnects { schedule(.milliseconds(20)) { [self] in connect() } }
    }

    /// SIGKILL.
    func kill(_ node: Node) {
        node.isAlive = false
        node.works = []
        node.isBusy = false
        closeChannel("end of stream", deadProcess: node.id)
    }

    /// A crash in the record that the engine is given: the handler sends the gasp.
    func crash(_ node: Node, in index: LogIndex) {
        var gasp = node.gasp
        if gasp != nil {
            for i in 0..<8 { gasp![DyingGasp.indexOffset + i] = UInt8(truncatingIfNeeded: index.value >> UInt64(56 - 8 * i)) }
        }
        let other = nodes[Int(node.id.other.rawValue)]
        if let gasp, other.isAlive { schedule(channelDelay) { [self] in deliver(.datagram(gasp), to: other) } }
        kill(node)
    }

    func restart(_ node: Node) {
        node.starts += 1
        node.isAlive = true
        node.isFrozen = false
        node.isHanging = false
        node.isDigestWrong = false
        node.held = []
        node.lease = (.zero, .zero)
        node.gasp = nil
        node.engine = EngineBox(seed: 1)
        var configuration = Self.configuration(node.id, start: node.starts, configure)
        configuration.pairKey = node.key
        configuration.lastEpoch = node.lastEpoch
        node.segments.assign([])
        node.controller = Controller(configuration: configuration)
        give(.start(failedTests: []), to: node)
        connect()
    }

    func freeze(_ node: Node) { node.isFrozen = true }
    func wake(_ node: Node) {
        node.isFrozen = false
        let held = node.held
        node.held = []
        for action in held { action() }
    }

    func ask(_ node: Node, _ request: OperatorRequest, id: UInt64 = 1) {
        give(.request(OperatorRequestID(id), request), to: node)
    }

    /// A frame on the segment, to everybody.
    func broadcast(_ frame: [UInt8], from: ControllerID?) {
        guard !isSegmentCut || from == nil else { return }
        for node in nodes where node.isAlive && node.id != from {
            schedule(.microseconds(30)) { [self] in
                guard node.isAlive else { return }
                if node.isFrozen { return node.held.append { [self] in receive(frame, on: node) } }
                receive(frame, on: node)
            }
        }
    }

    private func receive(_ frame: [UInt8], on node: Node) {
        var outputs: [ControllerOutput] = []
        node.heard.append(frame)
        guard let interface = node.segments.interface(for: frame.span.bytes, at: 0) else { return }
        node.controller.receive(frame.span.bytes, on: interface, at: now, into: &outputs)
        node.controller.handle(.endOfBatch, at: now, into: &outputs)
        carryOut(outputs, of: node)
    }

    // MARK: inputs and outputs

    func deliver(_ input: ControllerInput, to node: Node) {
        guard node.isAlive else { return }
        if node.isFrozen { return node.held.append { [self] in give(input, to: node) } }
        give(input, to: node)
    }

    func give(_ input: ControllerInput, to node: Node) {
        guard node.isAlive else { return }
        var outputs: [ControllerOutput] = []
        node.controller.handle(input, at: now, into: &outputs)
        node.controller.handle(.endOfBatch, at: now, into: &outputs)
        carryOut(outputs, of: node)
    }

    private func carryOut(_ outputs: [ControllerOutput], of node: Node) {
        for output in outputs {
            switch output {
            case .transmit(_, let octets):
                // The host's gate.
                guard now < node.lease.until else { continue }
                node.frames.append((now, node.lease.epoch, octets))
                broadcast(octets, from: node.id)
            case .advertise(_, var octets), .ask(_, var octets):
                octets.fillSource(MACAddress(raw: 0x0200_0000_2000 | UInt64(node.id.rawValue)))
                broadcast(octets, from: node.id)
            case .lease(let epoch, let until): node.lease = (epoch, until)
            case .channelSend(let octets): sendOverChannel(octets, from: node)
            case .channelClose(let reason):
                guard isChannelUp else { continue }
                isChannelUp = false
                orderlyEnd = (channelGeneration, node.id)
                channelGeneration += 1
                let other = nodes[Int(node.id.other.rawValue)]
                schedule(channelDelay) { [self] in
                    deliver(.channelClosed(reason: "peer: \(reason)", isProcessDead: false), to: other)
                }
                if reconnects { schedule(.milliseconds(20)) { [self] in connect() } }
            case .prepareGasp(let octets): node.gasp = octets
            case .datagram(let octets): sendDatagram(octets, from: node)
            case .pairKey(let key): node.key = key
            case .arbiter(let request):
                guard !isArbiterDown else { continue }
                let isTwinDead = !nodes[Int(node.id.other.rawValue)].isAlive
                let answer = lease.answer(request, from: node.id, at: now, lease: leaseDuration, isTwinDead: isTwinDead)
                // In the same moment, but as an input of its own.
                let start = node.starts
                schedule(.zero) { [self] in if node.starts == start { deliver(.arbiter(answer), to: node) } }
            case .engine(let work):
                node.works.append(work)
                pump(node)
            case .event(let event):
                events.append((node.id, event))
                if event.severity >= .notice { trace.append("\(now) \(node.id) \(event.message)") }
            case .state(let state, _): node.states.append(state)
            case .interfaces(let list): node.segments.assign(list)
            case .configured(let position, _): node.configured.append(position)
            case .answer(let id, let answer): node.answers.append((id, answer))
            case .mirror(let transaction, let octets):
                node.mirrored.append((transaction, octets))
                let refusal = octets.isEmpty ? "nothing in it" : nil
                schedule(.zero) { [self] in deliver(.mirrored(transaction: transaction, refusal: refusal), to: node) }
            case .mirrorAnswered(let transaction, let refusal): node.mirrorAnswers.append((transaction, refusal))
            case .mirrorEverything: break
            case .exit(let reason):
                node.exits.append(reason)
                kill(node)
                return
            }
        }
    }

    private func sendDatagram(_ octets: [UInt8], from node: Node) {
        guard !isChannelCut, !isMuted[Int(node.id.rawValue)], !areDatagramsCut else { return }
        if losesDatagram() { return }
        let other = nodes[Int(node.id.other.rawValue)]
        schedule(channelDelay) { [self] in
            guard !isChannelCut else { return }
            if other.isAlive { return deliver(.datagram(octets), to: other) }
            // Nobody listens on that port any more: the kernel says so.
            if answersForTheDead { schedule(channelDelay) { [self] in deliver(.datagramRefused, to: node) } }
        }
    }

    private func sendOverChannel(_ octets: [UInt8], from node: Node) {
        guard isChannelUp, !isMuted[Int(node.id.rawValue)] else { return }
        let other = nodes[Int(node.id.other.rawValue)]
        var receiver = ChannelReceiver()
        receiver.frameMaximum = ChannelLimit.frame
        receiver.append(octets)
        var out = ByteWriter()
        while let message = try? receiver.next() {
            messages.append((node.id, message))
            let passed = tamper == nil ? message : tamper!(node.id, message)
            passed?.write(to: &out)
        }
        let bytes = out.bytes, generation = channelGeneration
        guard !bytes.isEmpty else { return }
        schedule(channelDelay) { [self] in
            guard
                generation == channelGeneration && isChannelUp
                    || generation == orderlyEnd?.generation && orderlyEnd?.by == node.id
            else { return }
            deliver(.channelReceived(bytes), to: other)
        }
    }

    /// One piece of work after another, each after the engine's delay.
    private func pump(_ node: Node) {
        guard !node.isBusy, !node.works.isEmpty else { return }
        node.isBusy = true
        let start = node.starts
        schedule(engineDelay) { [self] in finishWork(of: node, start) }
    }

    private func finishWork(of node: Node, _ start: Int) {
        guard node.isAlive, node.starts == start else { return }
        if node.isFrozen { return node.held.append { [self] in finishWork(of: node, start) } }
        if node.isHanging { return }
        let work = node.works.removeFirst()
        node.isBusy = false
        var report = node.engine.engine.perform(work)
        if node.isDigestWrong, case .applied(let index, let effects, let fib, var digest, let deadline) = report {
            digest.routing ^= 1
            report = .applied(upTo: index, effects: effects, fib: fib, digest: digest, nextDeadline: deadline)
        }
        if case .snapshot(let snapshot) = report {
            let bytes = snapshot.encoded()
            schedule(snapshotDelay) { [self] in
                if node.starts == start { deliver(.snapshotEncoded(snapshot.index, bytes), to: node) }
            }
        } else {
            give(.engine(report), to: node)
        }
        pump(node)
    }

    // MARK: what tests ask

    var isRedundant: Bool {
        nodes.contains { $0.isAlive && $0.state == .active } && nodes.contains { $0.isAlive && $0.state == .standby }
    }
    var masters: Int { nodes.reduce(0) { $0 + ($1.isAlive && $1.state.isActive && now < $1.lease.until ? 1 : 0) } }
    /// When the node announced 192.0.2.`last` by gratuitous ARP.
    func announcements(of last: UInt8, by node: Node) -> [Instant] {
        node.frames.filter { $0.octets.count >= 42 && $0.octets[28..<32] == [192, 0, 2, last] }.map(\.at)
    }
    func said(_ text: String, by node: Node? = nil) -> Bool {
        events.contains { ($0.node == node?.id || node == nil) && $0.event.message.contains(text) }
    }
    func status(_ node: Node) -> ControllerStatus { node.controller.status(at: now) }
}
