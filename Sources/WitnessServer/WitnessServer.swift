import CHost
import Dispatch
import Identity
import Machine
import NIOCore
import NIOPosix
import NIOSSL
import Records
import Redundancy
import Synchronization
import Witness

/// A witness: listens, keeps its pairs' words, answers when what has changed is on the disk.
///
/// One event loop owns everything but the file; a queue of its own writes that, several changes by one flush. Bounds: so many
/// connections, so many of them before they have proven who they are, and one for each controller afterwards (the newest).
/// What a connection may send unread is one frame; what it may leave unread is a few answers.
public final class WitnessServer: Sendable {
    public struct Settings: Sendable {
        public var address: String
        /// 0 for any that is free.
        public var port: Int
        public var store: String
        public var pairs: [WitnessIdentity.Server.Pair]
        public var leaseMaximum: Duration

        public init(
            address: String, port: Int, store: String, pairs: [WitnessIdentity.Server.Pair], leaseMaximum: Duration
        ) {
            self.address = address
            self.port = port
            self.store = store
            self.pairs = pairs
            self.leaseMaximum = leaseMaximum
        }
    }
    /// What an operator may want to read.
    public enum Note: Sendable {
        case info(String)
        case warning(String)
        /// The file cannot be written: nothing may be answered any more, and the process has to end.
        case fatal(String)
    }

    /// Connections that have not proven who they are, at most; the oldest makes way.
    static let strangersMaximum = 32
    /// Answers of one connection that wait for the disk; a client of ours asks one thing at a time.
    static let unansweredMaximum = 8
    static let handshakeTime = TimeAmount.seconds(5)
    /// A client pings more often.
    static let silenceTime = TimeAmount.seconds(60)

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let core: NIOLoopBound<WitnessCore>
    private let store: WitnessStore
    private let disk: DispatchQueue
    private let identity: Renewable<WitnessIdentity.Server>
    private let names: [String]
    public let port: Int

    public init(_ settings: Settings, note: @escaping @Sendable (Note) -> Void) throws {
        let names = settings.pairs.map(\.name)
        let identity = Renewable(try Self.identity(settings.pairs))
        (self.identity, self.names) = (identity, names)
        let (store, found) = try WitnessStore.open(path: settings.store, names: names)
        let now = Instant(nanoseconds: chost_now())
        let lost = found.isDamaged.map { $0 || found.isNew }
        let state = WitnessState(
            names: names, found: found.records, lost: lost, leaseMaximum: settings.leaseMaximum, at: now)
        let silence = WitnessState.silence(settings.leaseMaximum).inMilliseconds
        if found.isNew {
            note(.warning("\(settings.store) is new: nothing is known about any pair, and nothing is granted for \(silence) ms"))
        }
        for (number, name) in names.enumerated() where found.isDamaged[number] {
            note(.warning("\(settings.store): a record of pair \(name) is damaged; nothing is granted to it for \(silence) ms"))
        }
        self.store = store
        let disk = DispatchQueue(label: "witness.store")
        self.disk = disk
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let leaseMaximum = settings.leaseMaximum
        do {
            let core = try loop.submit {
                NIOLoopBound(WitnessCore(state, store, disk, leaseMaximum: leaseMaximum, loop: loop, note: note), eventLoop: loop)
            }.wait()
            channel = try ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelOption(.maxMessagesPerRead, value: 1)
                .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
                .childChannelOption(.writeBufferWaterMark, value: .init(low: 1024, high: 8192))
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let connection = WitnessConnection(core.value)
                        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
                        let handler = identity.value.handler { pair, controller in
                            bound.value.client = WitnessState.Client(
                                pair: pair, controller: ControllerID.allCases[controller])
                        }
                        try channel.pipeline.syncOperations.addHandlers([handler, connection])
                    }
                }
                .bind(host: settings.address, port: settings.port).wait()
            self.core = core
        } catch {
            try? group.syncShutdownGracefully()
            throw WitnessStoreError("cannot listen on \(settings.address) port \(settings.port): \(error)")
        }
        port = channel.localAddress?.port ?? settings.port
        note(.info("listening on \(settings.address) port \(port) for \(names.count) pair\(names.count == 1 ? "" : "s")"))
    }

    private static func identity(_ pairs: [WitnessIdentity.Server.Pair]) throws -> WitnessIdentity.Server {
        try WitnessIdentity.Server(pairs, controllers: ControllerID.allCases.map(\.description))
    }

    /// From now on whoever connects proves one of these keys. Connections that are there stay.
    public func renew(_ pairs: [WitnessIdentity.Server.Pair]) throws {
        guard pairs.map(\.name) == names else {
            throw IdentityError("the file names other pairs than before; a new start is needed for that")
        }
        identity.renew(try Self.identity(pairs))
    }

    public func stop() {
        try? channel.close().wait()
        try? group.syncShutdownGracefully()
        disk.sync { store.close() }
    }
}

/// What the event loop owns.
final class WitnessCore {
    private struct Waiting {
        /// The flush that this answer waits for.
        var flush: UInt64
        var connection: WitnessConnection
        var frame: [UInt8]
    }

    private var state: WitnessState
    private let store: WitnessStore
    private let leaseMaximum: Duration
    private let loop: any EventLoop
    private let note: @Sendable (WitnessServer.Note) -> Void
    private let disk: DispatchQueue
    /// Pairs that changed since the flush under way began.
    private var changed: [Int] = []
    private var isFlushing = false
    /// Flushes that were begun, and that are done.
    private var begun: UInt64 = 0, done: UInt64 = 0
    /// By pair: the flush after which all of its changes are on the disk.
    private var pending: [UInt64]
    /// In order. A pair's answers wait for its own changes, others' pass.
    private var waiting: [Waiting] = []
    private var isBroken = false
    /// Connections that have not proven who they are, oldest first.
    private var strangers: [WitnessConnection] = []
    /// By pair and controller.
    private var connections: [[WitnessConnection?]]

    init(
        _ state: WitnessState, _ store: WitnessStore, _ disk: DispatchQueue, leaseMaximum: Duration, loop: any EventLoop,
        note: @escaping @Sendable (WitnessServer.Note) -> Void
    ) {
        self.state = state
        self.store = store
        self.disk = disk
        self.leaseMaximum = leaseMaximum
        self.loop = loop
        self.note = note
        pending = state.names.map { _ in 0 }
        connections = state.names.map { _ in [nil, nil] }
    }

    // MARK: connections

    func opened(_ connection: WitnessConnection) {
        strangers.append(connection)
        if strangers.count > WitnessServer.strangersMaximum { strangers.removeFirst().close() }
    }

    func proven(_ connection: WitnessConnection, _ client: WitnessState.Client) {
        strangers.removeAll { $0 === connection }
        let place = Int(client.controller.rawValue)
        connections[client.pair][place]?.close()
        connections[client.pair][place] = connection
    }

    func closed(_ connection: WitnessConnection) {
        strangers.removeAll { $0 === connection }
        waiting.removeAll { $0.connection === connection }
        guard let client = connection.client else { return }
        let place = Int(client.controller.rawValue)
        if connections[client.pair][place] === connection { connections[client.pair][place] = nil }
    }

    // MARK: requests

    func take(_ request: WitnessRequest, from connection: WitnessConnection) {
        guard let client = connection.client, !isBroken else { return connection.close() }
        let now = Instant(nanoseconds: chost_now())
        let reply: WitnessState.Reply
        switch request {
        case .hello(let session, let lease, let isFirst):
            guard lease <= leaseMaximum else {
                reply = .init(
                    answer: .refusal(
                        "a lease of \(lease.inMilliseconds) ms is longer than this witness's longest, "
                            + "\(leaseMaximum.inMilliseconds) ms (lease-maximum)"))
                break
            }
            connection.session = session
            reply = state.hello(client, session: session, lease: lease, isFirst: isFirst, at: now)
        case .ask(let number, let asked, let isTwinEligible):
            guard let session = connection.session else {
                reply = .init(answer: .refusal("a connection begins with hello"))
                break
            }
            reply = state.ask(
                client, session: session, number: number, asked, isTwinEligible: isTwinEligible, at: now)
        case .ping(let number): reply = .init(answer: .pong(number))
        }
        if reply.isChanged {
            if !changed.contains(client.pair) { changed.append(client.pair) }
            pending[client.pair] = begun + 1
        }
        send(reply.answer, to: connection, of: client)
        flush()
    }

    private func send(_ answer: WitnessAnswer, to connection: WitnessConnection, of client: WitnessState.Client) {
        // Also what changes nothing waits: it may tell of a change that is not on the disk yet.
        if pending[client.pair] > done {
            guard waiting.count(where: { $0.connection === connection }) < WitnessServer.unansweredMaximum else {
                return connection.close()
            }
            waiting.append(Waiting(flush: pending[client.pair], connection: connection, frame: answer.frame()))
            return
        }
        connection.send(answer.frame())
        if case .refusal = answer { connection.closeAfterSending() }
    }

    private func flush() {
        guard !isFlushing, !changed.isEmpty else { return }
        isFlushing = true
        begun += 1
        let changes = changed.map { (pair: $0, record: state.records[$0]) }
        changed = []
        let bound = NIOLoopBound(self, eventLoop: loop)
        disk.async { [store, loop] in
            let failure: String?
            do {
                try store.write(changes)
                failure = nil
            } catch { failure = "\(error)" }
            loop.execute { bound.value.flushed(failure) }
        }
    }

    private func flushed(_ failure: String?) {
        isFlushing = false
        if let failure {
            // What is on the disk is unknown from here on; only reading it again tells.
            isBroken = true
            note(.fatal(failure))
            return
        }
        done = begun
        var later: [Waiting] = []
        for one in waiting {
            if one.flush <= done { one.connection.send(one.frame) } else { later.append(one) }
        }
        waiting = later
        flush()
    }
}
