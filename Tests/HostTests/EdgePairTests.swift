import CHost
import Configuration
import Controller
import Engine
import Foundation
import Identity
import Machine
import Records
import Redundancy
import Synchronization
import Testing
import Wire

@testable import Host

/// The pair on two real edges with their threads, channel, datagrams and arbiter, and a switch in place of devices. What the
/// simulator plays in virtual time happens here as it ships; nothing is asserted about how long it takes.
@Suite(.serialized, .timeLimit(.minutes(3))) struct EdgePairTests {
    @Test(arguments: [ArbiterKind.leasefile, .link])
    func `The pair becomes redundant, hands over, survives a stall and a cable, and never are there two routers`(
        arbiter: ArbiterKind
    ) async throws {
        let pair = try EdgePair(arbiter)
        defer { pair.stop() }
        var active = await pair.redundant()
        #expect(await pair.isAnswered(by: active))

        // An operator.
        pair.edge(active).give(.request(OperatorRequestID(1), .switchover(reason: "a test")))
        await pair.becomesRouter(active.other)
        active = await pair.redundant()

        // Its thread does not run until the other is the router, with questions waiting for it.
        await pair.freezing(active) {
            for _ in 0..<8 { pair.lan.ask() }
            await pair.becomesRouter(active.other)
        }
        active = await pair.redundant()
        #expect(await pair.isAnswered(by: active))

        // Its port is unplugged, and plugged in again.
        pair.unplug(active, true)
        await pair.becomesRouter(active.other)
        pair.unplug(active, false)
        active = await pair.redundant()
        #expect(await pair.isAnswered(by: active))

        // It ends without a word; what is left goes on alone.
        pair.edge(active).stop()
        await pair.becomesRouter(active.other)
        #expect(await pair.isAnswered(by: active.other))
        #expect(pair.lan.overlaps() == [])
    }

    @Test func `The standby's edge stalls and its channel ends: the active goes on alone and takes it in again`() async throws {
        let pair = try EdgePair(.link)
        defer { pair.stop() }
        let active = await pair.redundant()
        await pair.freezing(active.other) { await pair.wait { pair.state(active) == .activeAlone } }
        #expect(await pair.isAnswered(by: active))
        let again = await pair.redundant()
        #expect(again == active)
        #expect(pair.lan.overlaps() == [])
    }
}

/// A LAN: a socket pair for each controller's port, and one host that asks who the router is.
private final class SwitchedLAN: Sendable {
    struct Sent: Sendable {
        var by: ControllerID
        var at: Instant
    }
    private struct State: Sendable {
        var sent: [Sent] = []
        /// Answers to the host, by controller.
        var answers = [0, 0]
        var isUnplugged: [Bool] = [false, false]
        var isStopped = false
    }
    static let router = MACAddress("02:00:00:00:00:01")!
    private let state = Mutex(State())
    private let changed: @Sendable () -> Void
    /// The controllers' ends, and ours.
    let ports: [Int32], ends: [Int32]

    init(changed: @escaping @Sendable () -> Void) throws {
        self.changed = changed
        var ports: [Int32] = [], ends: [Int32] = []
        for _ in 0..<2 {
            var pair: [Int32] = [0, 0]
            try #require(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0, &pair) == 0)
            ports.append(pair[0])
            ends.append(pair[1])
        }
        (self.ports, self.ends) = (ports, ends)
        Thread.detachNewThread { [self] in carry() }
    }

    private func carry() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !state.withLock({ $0.isStopped }) {
            var polled = ends.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = poll(&polled, 2, 20)
            for i in 0..<2 {
                while true {
                    let count = recv(ends[i], &buffer, buffer.count, Int32(MSG_DONTWAIT))
                    guard count > 0 else { break }
                    let plugged = state.withLock { !$0.isUnplugged[0] && !$0.isUnplugged[1] }
                    if plugged { _ = send(ends[1 - i], buffer, count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) }
                }
            }
        }
        for end in ends { close(end) }
    }
    func stop() { state.withLock { $0.isStopped = true } }

    /// A port notes what the router says where it leaves, so that the order is the true one.
    func note(_ frame: [UInt8], by id: ControllerID) {
        guard frame.count >= 12, frame[6..<12].elementsEqual([2, 0, 0, 0, 0, 1]) else { return }
        let isAnswer = frame.starts(with: Self.host)
        state.withLock { state in
            state.sent.append(Sent(by: id, at: monotonicNow()))
            if isAnswer { state.answers[Int(id.rawValue)] += 1 }
        }
        if isAnswer { changed() }
    }
    static let host: [UInt8] = [2, 0, 0, 0, 0, 99]
    func answers(_ id: ControllerID) -> Int { state.withLock { $0.answers[Int(id.rawValue)] } }

    /// Frames of one controller between two of the other, but for whole changes of the router.
    func overlaps() -> [String] {
        let sent = state.withLock { $0.sent }
        var reigns: [(by: ControllerID, from: Instant, to: Instant)] = []
        for frame in sent {
            if reigns.last?.by == frame.by {
                reigns[reigns.count - 1].to = frame.at
            } else {
                reigns.append((frame.by, frame.at, frame.at))
            }
        }
        // Roles change when something is done to the pair, or a busy machine makes one wait for the other; each time the
        // new one announces itself first, and the old one is silent for longer than frames are on their way.
        guard reigns.count > 2 else { return [] }
        return reigns.indices.dropFirst().dropLast().compactMap { i in
            let gap = min(reigns[i].from - reigns[i - 1].to, reigns[i + 1].from - reigns[i].to)
            let isShort = reigns[i].to - reigns[i].from < .milliseconds(1) && gap < .milliseconds(1)
            return isShort ? "\(reigns[i].by) between two frames of \(reigns[i].by.other) at \(reigns[i].from)" : nil
        }
    }

    func isUp(_ id: ControllerID) -> Bool { state.withLock { !$0.isUnplugged[Int(id.rawValue)] } }
    func unplug(_ id: ControllerID, _ isUnplugged: Bool) { state.withLock { $0.isUnplugged[Int(id.rawValue)] = isUnplugged } }

    /// Who has 192.0.2.1? Tell 192.0.2.99.
    func ask() {
        let frame: [UInt8] =
            [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 99, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 99]
            + [192, 0, 2, 99, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]
        for id in ControllerID.allCases where isUp(id) {
            _ = send(ends[Int(id.rawValue)], frame, frame.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
    }
}

/// One controller's port on the LAN.
private final class SocketPort: DevicePort {
    let device: String
    let fd: Int32
    let ownMAC: MACAddress
    private let id: ControllerID
    private let lan: SwitchedLAN
    private var waiting: [[UInt8]] = []
    private var counters = PortCounters()

    init(_ device: String, _ id: ControllerID, _ lan: SwitchedLAN) {
        (self.device, self.id, self.lan) = (device, id, lan)
        fd = lan.ports[Int(id.rawValue)]
        ownMAC = MACAddress(raw: 0x0200_0000_00a0 + UInt64(id.rawValue))
    }
    var isUp: Bool { lan.isUp(id) }
    func setFilter(macs: [MACAddress], advertisementType: UInt16) {}
    func receive(limit: Int, octets: Int, _ body: (RawSpan) -> Void) -> Int {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var count = 0
        while count < limit {
            let length = recv(fd, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard length > 0 else { break }
            count += 1
            guard isUp else { continue }
            let frame = Array(buffer.prefix(length))
            body(frame.span.bytes)
        }
        counters.framesIn += UInt64(count)
        return count
    }
    func send(_ frame: consuming [UInt8]) { waiting.append(frame) }
    func sendNow(_ frame: [UInt8]) {
        lan.note(frame, by: id)
        _ = Glibc.send(fd, frame, frame.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        counters.framesOut += 1
    }
    var hasWaiting: Bool { !waiting.isEmpty }
    func flush() {
        for frame in waiting { sendNow(frame) }
        waiting = []
    }
    func discard() -> Int {
        defer { waiting = [] }
        return waiting.count
    }
    func readCounters() -> PortCounters { counters }
    func takeHasLostFrames() -> Bool { false }
}

private final class EdgePair: Sendable {
    let lan: SwitchedLAN
    private let edges: [Edge]
    private let engines: [EngineThread]
    private let file = TemporaryFile()
    /// What each controller says it is.
    private let states = Mutex<[ControllerState]>([.booting, .booting])
    /// Rings when a state or the LAN has news: nothing here waits for a time.
    private let news = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    struct NoPort: Error {}

    init(_ arbiter: ArbiterKind) throws {
        let lan = try SwitchedLAN { [ring = news.continuation] in ring.yield() }
        self.lan = lan
        let engines = try ControllerID.allCases.map { _ in try EngineThread() }
        self.engines = engines
        edges = try engines.map { try Edge(engine: $0) }
        let addresses = [IPAddress("127.0.0.1")!, IPAddress("127.0.0.2")!]
        let port = try Self.freePort()
        let secret = Array("a secret of two edges".utf8)
        let router = try RouterConfiguration(interfaces: [
            InterfaceConfiguration(
                name: "lan", virtualMAC: SwitchedLAN.router,
                addresses: [.init(address: IPAddress("192.0.2.1")!, prefixLength: 24)])
        ]).encoded()
        for id in ControllerID.allCases {
            let i = Int(id.rawValue)
            var configuration = ControllerConfiguration(
                id: id, routerName: "r1", pairID: 77, bootNonce: .random(in: 1 ... .max), randomSeed: .random(in: 1 ... .max))
            configuration.gaspToken = .init(high: .random(in: 1 ... .max), low: 1)
            configuration.segmentCount = 1
            configuration.identity = UInt64(i) + 1
            configuration.isPreferred = id == .a
            configuration.initialConfiguration = (1, router)
            configuration.arbiter = arbiter
            var settings = Edge.Settings(
                bindings: [.init(name: "lan", device: "eth0")], advertisementType: Beat.etherType,
                channel: (
                    .init(controller: id, local: addresses[i], peer: addresses[1 - i], port: port),
                    Renewable(try ChannelIdentity(.sharedKeys([secret]), pair: "r1", controller: id)), port + 1
                ),
                leaseFile: arbiter == .leasefile ? (file.path, .milliseconds(40)) : nil, failedTests: [])
            settings.openPort = { SocketPort($0, id, lan) }
            try engines[i].start(seed: 1, urgency: .normal) { _ in }
            let made = configuration
            try edges[i].start(settings, urgency: .normal) { Controller(configuration: made) }
            Thread.detachNewThread { [self] in listen(to: id) }
        }
    }

    private func listen(to id: ControllerID) {
        var reports: [Edge.Report] = []
        while true {
            edge(id).reports.waitForBell()
            edge(id).reports.take(into: &reports)
            for report in reports {
                switch report {
                case .state(let state, _):
                    states.withLock { $0[Int(id.rawValue)] = state }
                    news.continuation.yield()
                case .stopped: return
                default: break
                }
            }
        }
    }

    private static func freePort() throws -> UInt16 {
        for _ in 0..<50 {
            // Two in a row, of which the second is for datagrams.
            let port = UInt16.random(in: 20_000..<60_000)
            let fd = try Sockets.make(SOCK_STREAM, IPAddress("127.0.0.1")!)
            defer { close(fd) }
            if (try? Sockets.bind(fd, IPAddress("127.0.0.1")!, port)) != nil { return port }
        }
        throw NoPort()
    }

    func stop() {
        for edge in edges { edge.stop() }
        for engine in engines { engine.stop() }
        lan.stop()
    }

    func edge(_ id: ControllerID) -> Edge { edges[Int(id.rawValue)] }
    func state(_ id: ControllerID) -> ControllerState { states.withLock { $0[Int(id.rawValue)] } }

    /// The thread does nothing while `body` goes on, as on a host that stands still.
    func freezing(_ id: ControllerID, _ body: () async -> Void) async {
        let thaw = DispatchSemaphore(value: 0)
        edge(id).commands.put(.look { _, _ in thaw.wait() })
        await body()
        thaw.signal()
    }

    func unplug(_ id: ControllerID, _ isUnplugged: Bool) {
        lan.unplug(id, isUnplugged)
        // A device would say so by netlink.
        edge(id).give(.link(InterfaceID(0), isUp: !isUnplugged))
    }

    /// However slow this machine is; the suite's limit of time ends what never comes.
    func wait(_ isTrue: () -> Bool) async {
        var iterator = news.stream.makeAsyncIterator()
        while !isTrue(), !Task.isCancelled { await iterator.next() }
    }

    /// Until both say so. Returns who is active.
    func redundant() async -> ControllerID {
        await wait { [.active, .standby] == states.withLock { Set($0) } }
        return state(.a) == .active ? .a : .b
    }

    func becomesRouter(_ id: ControllerID) async { await wait { state(id).isActive } }

    func isAnswered(by id: ControllerID) async -> Bool {
        let before = lan.answers(id)
        lan.ask()
        await wait { lan.answers(id) > before }
        return lan.answers(id) > before
    }
}
