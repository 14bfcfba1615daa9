import CHost
import Dispatch
import Glibc
import Machine
import Records
import Routing
import Synchronization
import Wire

// Forwarding: what the kernel of this host does for the router (DESIGN §9, §10).
//
//   Forwarding.swift   this file: the two threads, and what others ask of them
//   Netlink/           messages and sockets
//   Kernel/            the kernel's forwarding table, kept equal to the engine's
//   Devices/           macvlans with the virtual MAC and the router's addresses
//   Gate/              nf_tables: who may forward, and what the kernel must not answer
//   MemoryFIB.swift    the table without a kernel
//
// Both controllers program their own kernel as their engines apply records, so a take-over finds everything in place:
// it opens the gate, one transaction of some tens of microseconds, while the line card makes its announcements. Two
// threads, because programming a million routes takes seconds and the gate must not wait for it:
//
//   fib    takes updates from the engine's thread and configurations from the edge, one batch of routes at a time
//   gate   real-time; opens and closes, and renews the gate's lease while this controller is active
//
// The engine and the edge never wait for either.

public final class Forwarding: Sendable {
    struct Settings: Sendable {
        enum Mode: Sendable, Hashable {
            case kernel, memory, none
        }
        var mode = Mode.memory
        var fib: KernelFIB.Settings
        var devices: RouterDevices.Settings
        /// How long a dead daemon's kernel goes on forwarding; `nil`: until a daemon closes the gate.
        var openFor: Duration?
        /// Routes of a life before that nobody wants are removed after so long, if the engine does not say sooner that it
        /// has the first routes of all neighbours.
        var staleTime = Duration.seconds(120)
        var staysOnExit = false
        var gateName: String { "lockstep-\(devices.pair)-\(devices.controller)" }
    }
    struct Status: Sendable {
        var mode: Settings.Mode
        var kernel: KernelFIBStatus
        var isGateOpen = false
        var devices: [(interface: String, device: String, isUp: Bool)] = []
        /// The longest that opening or closing took, and how often the gate's tables were gone.
        var longestSwitch = Duration.zero
        var lastSwitch = Duration.zero
        var gateRepairs: UInt64 = 0
        var gateFailure: String?
    }
    private enum Order: Sendable {
        case update(FIBUpdate)
        case interfaces([InterfaceConfiguration])
        case look(@Sendable (Status) -> Void)
        case stop(isKept: Bool)
    }
    private enum GateOrder: Sendable {
        case open(Bool)
        case install([(index: UInt32, name: String)], [IPAddress], @Sendable (String?) -> Void)
        case stop(isKept: Bool)
    }
    struct GateState: Sendable {
        var isOpen = false
        var longest = Duration.zero
        var last = Duration.zero
        var repairs: UInt64 = 0
        var failure: String?
    }

    private let settings: Settings
    /// Bounded by the engine: the thread takes everything out between two batches, and what is out lies in tables by
    /// prefix.
    private let orders: Mailbox<Order>
    /// Two a switchover.
    private let gateOrders: Mailbox<GateOrder>
    private let report: @Sendable (Event) -> Void
    private let gateState = Mutex(GateState())
    private let threads = Mutex<[HostThread]>([])

    init(_ settings: Settings, report: @escaping @Sendable (Event) -> Void) throws {
        self.settings = settings
        self.report = report
        orders = try Mailbox()
        gateOrders = try Mailbox()
    }

    /// - Parameter interfaces: the router's as far as they are known at the start, so that devices of a life before are
    ///   kept and the gate is closed before anything else happens.
    func start(interfaces: [InterfaceConfiguration]?) throws {
        guard settings.mode != .none else { return }
        var started: [HostThread] = []
        if settings.mode == .kernel {
            let gate = try PacketGate(table: settings.gateName, openFor: settings.openFor)
            let box = Handed(gate)
            started.append(
                try HostThread("gate", urgency: .realtime(9), report: report) { [self] in
                    runGate(box.value)
                })
            let devices = try RouterDevices(settings.devices)
            let fib = try KernelFIB(settings.fib)
            let monitor = try NetlinkSocket(
                receiveBuffer: 8 << 20,
                groups: [RouteGroup.link, RouteGroup.ipv4Route, RouteGroup.ipv6Route, RouteGroup.nextHop],
                ignored: fib.socket.port)
            if let interfaces { orders.put(.interfaces(interfaces)) }
            let handed = Handed((fib, devices, monitor))
            started.append(
                try HostThread("fib", urgency: .normal, report: report) { [self] in
                    run(handed.value.0, handed.value.1, handed.value.2)
                })
        } else {
            started.append(try HostThread("fib", urgency: .normal, report: report) { [self] in runInMemory() })
        }
        threads.withLock { $0 = started }
    }

    // MARK: what others ask

    /// From the engine's thread, as soon as it has applied.
    func put(_ update: FIBUpdate) {
        guard settings.mode != .none, !update.isEmpty else { return }
        orders.put(.update(update))
    }
    func set(interfaces: [InterfaceConfiguration]) {
        guard settings.mode == .kernel else { return }
        orders.put(.interfaces(interfaces))
    }
    /// Before the line card announces itself, and when it falls silent.
    func set(isActive: Bool) {
        guard settings.mode == .kernel else { return }
        gateOrders.put(.open(isActive))
    }
    func status(timeout: Duration = .seconds(5)) async throws -> Status {
        guard settings.mode != .none else { return Status(mode: .none, kernel: KernelFIBStatus()) }
        let answer = OneAnswer<Status>()
        orders.put(.look { answer.succeed($0) })
        let alarm = Task {
            try? await Task.sleep(for: timeout)
            answer.fail(EngineThread.Unavailable(description: "the forwarding table did not answer within \(timeout)"))
        }
        defer { alarm.cancel() }
        return try await answer.value()
    }

    /// Removes what was made, unless it is to stay.
    func stop() {
        guard settings.mode != .none else { return }
        // The gate last: nothing of ours speaks while the rest goes.
        orders.put(.stop(isKept: settings.staysOnExit))
        let all = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        all.last?.join()
        if settings.mode == .kernel {
            gateOrders.put(.stop(isKept: settings.staysOnExit))
            all.first?.join()
        }
    }

    // MARK: the gate's thread

    private func runGate(_ gate: PacketGate) {
        var orders: [GateOrder] = []
        // A quarter of what it stays open for, and twice a second to see whether the tables are there.
        let interval = min(500, (settings.openFor ?? .seconds(2)).inMilliseconds / 4)
        var lookedAround = monotonicKernelNow()
        gate.closeLeftBehind()
        while true {
            var poll = pollfd(fd: gateOrders.bell, events: Int16(POLLIN), revents: 0)
            let isRinging = Glibc.poll(&poll, 1, Int32(max(10, interval))) > 0
            if isRinging {
                gateOrders.take(into: &orders)
            } else {
                orders = []
                note { () throws(NetlinkSocket.Failure) in
                    let now = monotonicKernelNow()
                    let looksAround = now - lookedAround >= .milliseconds(500)
                    if looksAround { lookedAround = now }
                    if try !gate.renew(looksAround: looksAround) {
                        gateState.withLock { $0.repairs += 1 }
                        report(
                            Event(
                                .warning, "forwarding", "somebody removed the nf_tables tables \(gate.table): made again"))
                    }
                }
            }
            for order in orders {
                switch order {
                case .open(let isOpen):
                    guard isOpen != gate.isOpen else { continue }
                    let began = chost_now()
                    note { () throws(NetlinkSocket.Failure) in try gate.set(open: isOpen) }
                    let took = Duration.nanoseconds(chost_now() - began)
                    gateState.withLock {
                        $0.isOpen = isOpen
                        $0.last = took
                        $0.longest = max($0.longest, took)
                    }
                case .install(let devices, let addresses, let done):
                    do throws(NetlinkSocket.Failure) {
                        try gate.install(PacketGate.Contents(devices: devices, addresses: addresses))
                        gateState.withLock { $0.failure = nil }
                        done(nil)
                    } catch {
                        done("\(error)")
                    }
                case .stop(let isKept):
                    if !isKept { gate.remove() }
                    return
                }
            }
            orders.removeAll()
        }
    }

    private func note(_ body: () throws(NetlinkSocket.Failure) -> Void) {
        do {
            try body()
            gateState.withLock { $0.failure = nil }
        } catch {
            let isNew = gateState.withLock { state in
                defer { state.failure = "\(error)" }
                return state.failure == nil
            }
            if isNew { report(Event(.alarm, "forwarding", "the gate (nf_tables) cannot be switched: \(error)")) }
        }
    }

    /// Puts the gate before these devices and waits for it. Returns why that could not be.
    private func installGate(_ contents: PacketGate.Contents) -> String? {
        let done = Handed<String?>(nil)
        let semaphore = DispatchSemaphore(value: 0)
        gateOrders.put(
            .install(contents.devices, contents.addresses) { failure in
                done.value = failure
                semaphore.signal()
            })
        semaphore.wait()
        return done.value
    }

    // MARK: the table's thread

    private func run(_ fib: KernelFIB, _ devices: RouterDevices, _ monitor: NetlinkSocket) {
        var orders: [Order] = []
        var settleAt: Instant? = monotonicKernelNow() + settings.staleTime
        while true {
            let now = monotonicKernelNow()
            wait(fib, monitor, settleAt, now)
            self.orders.take(into: &orders)
            for order in orders {
                switch order {
                case .update(let update):
                    if update.hasFirstRoutes { settleAt = nil }
                    fib.take(update)
                case .interfaces(let list): configure(list, devices, fib)
                case .look(let body): body(status(fib, devices))
                case .stop(let isKept):
                    if !isKept {
                        fib.removeAll()
                        devices.removeAll()
                    }
                    return
                }
            }
            orders.removeAll(keepingCapacity: true)
            listen(monitor, fib, devices)
            if let time = settleAt, time <= now {
                settleAt = nil
                fib.settle()
            }
            fib.work(at: monotonicKernelNow())
            tell(&fib.events)
            tell(&devices.events)
        }
    }

    private func wait(_ fib: KernelFIB, _ monitor: NetlinkSocket, _ settleAt: Instant?, _ now: Instant) {
        guard !fib.hasWork else { return }
        let deadline = min(fib.deadline ?? .distantFuture, settleAt ?? .distantFuture)
        let milliseconds =
            deadline == .distantFuture
            ? -1 : Int32(clamping: max(0, (deadline - now).inMilliseconds + 1))
        var polls = [
            pollfd(fd: orders.bell, events: Int16(POLLIN), revents: 0),
            pollfd(fd: monitor.fd, events: Int16(POLLIN), revents: 0),
        ]
        _ = Glibc.poll(&polls, 2, milliseconds)
    }

    /// Devices, then the gate before them, then up: nothing of the kernel's making leaves in between.
    private func configure(_ list: [InterfaceConfiguration], _ devices: RouterDevices, _ fib: KernelFIB) {
        let isFirst = fib.devices == nil
        devices.apply(list)
        if let failure = installGate(devices.gateContents) {
            report(
                Event(
                    .alarm, "forwarding",
                    "nf_tables refuses the gate, so the kernel forwards nothing: \(failure); "
                        + "the kernel needs nf_tables with netdev egress (Linux 5.16)"))
            devices.removeAll()
            fib.setDevices([])
            return
        }
        devices.raise()
        fib.setDevices(devices.devices)
        // What a life before left in the kernel; only then are updates programmed.
        if isFirst { fib.takeStock("the start", at: monotonicKernelNow()) }
    }

    private func listen(_ monitor: NetlinkSocket, _ fib: KernelFIB, _ devices: RouterDevices) {
        let now = monotonicKernelNow()
        var hasLinks = false
        for _ in 0..<256 {
            let received = monitor.receive { message in
                if message.type == RouteMessage.newLink || message.type == RouteMessage.deleteLink {
                    if devices.concerns(message) { hasLinks = true }
                } else {
                    fib.notice(message, at: now)
                }
            }
            if received == .nothing { break }
            if received == .overrun {
                fib.noticesLost()
                hasLinks = true
            }
        }
        guard hasLinks else { return }
        if devices.refresh() {
            // Somebody removed a device of ours.
            fib.setDevices(devices.devices)
            configure(devices.interfaces, devices, fib)
        } else {
            fib.setDevices(devices.devices)
        }
    }

    private func status(_ fib: KernelFIB, _ devices: RouterDevices) -> Status {
        let gate = gateState.withLock { $0 }
        var status = Status(mode: .kernel, kernel: fib.summary)
        status.isGateOpen = gate.isOpen
        status.longestSwitch = gate.longest
        status.lastSwitch = gate.last
        status.gateRepairs = gate.repairs
        status.gateFailure = gate.failure
        for (interface, device) in zip(devices.interfaces, devices.made) {
            if let device { status.devices.append((interface.name, device.name, device.isUp)) }
        }
        return status
    }

    private func tell(_ events: inout [Event]) {
        for event in events { report(event) }
        events.removeAll()
    }

    private func runInMemory() {
        let fib = MemoryFIB()
        var orders: [Order] = []
        while true {
            self.orders.waitForBell()
            self.orders.take(into: &orders)
            for order in orders {
                switch order {
                case .update(let update): fib.take(update)
                case .interfaces: break
                case .look(let body):
                    var status = Status(mode: .memory, kernel: KernelFIBStatus())
                    status.kernel.ipv4.wanted = fib.ipv4.wantedCount
                    status.kernel.ipv6.wanted = fib.ipv6.wantedCount
                    status.kernel.groups = fib.groups.count
                    status.kernel.updates = fib.updates
                    body(status)
                case .stop: return
                }
            }
            orders.removeAll(keepingCapacity: true)
        }
    }
}

/// A value that one thread gives to another, which is started or rung after it.
private final class Handed<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}
