import Identity
import Machine
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Records
import Redundancy
import Witness

/// Asks a witness, on an event loop of its own (`VoteThread`).
///
/// The connection is kept warm by pings, so that a take-over costs one round trip; a lost one is made anew at once and then
/// at growing intervals. What is under way when it breaks is `VoteQueue`'s business.
final class WitnessLink: VoteLink {
    struct Settings: Sendable {
        var address: String
        var port: Int
        var identity: Renewable<WitnessIdentity.Client>
        /// Random for each start of this process.
        var session: UInt64
        var lease: Duration
    }

    private let settings: Settings
    private let sink: VoteSink
    private let loop: any EventLoop
    private var queue: VoteQueue
    private var connection: WitnessLinkHandler?
    private var isWelcome = false
    /// No witness has welcomed this process yet.
    private var isFirst = true
    private var isStopped = false
    private var alarm = LoopAlarm()
    private var retryDelay = WitnessLink.retryMinimum
    private var heardAt = Instant.zero
    private var askedAt: Instant?
    private var pingAt = Instant.zero
    private var pings: UInt64 = 0
    /// What was said last about the connection, so that it is not said again and again.
    private var said: String?
    private let silence: Duration

    private static let retryMinimum = Duration.milliseconds(5), retryMaximum = Duration.milliseconds(500)
    private static let pingInterval = Duration.seconds(1)

    init(_ settings: Settings, _ sink: VoteSink, _ loop: any EventLoop) {
        self.settings = settings
        self.sink = sink
        self.loop = loop
        queue = VoteQueue(patience: VotePatience.of(lease: settings.lease))
        silence = VotePatience.silence(lease: settings.lease)
    }

    private var place: String { "witness \(settings.address) port \(settings.port)" }

    func begin() { connect() }

    func ask(_ request: ArbiterRequest) {
        queue.ask(request, at: monotonicNow())
        proceed()
    }

    func stop() {
        isStopped = true
        alarm.cancel()
        connection?.close()
    }

    // MARK: the connection

    func connect() {
        guard !isStopped, connection == nil else { return }
        let handler = WitnessLinkHandler(self)
        connection = handler
        let bound = NIOLoopBound(handler, eventLoop: loop)
        let identity = settings.identity.value
        ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(max(silence, .milliseconds(200)).inNanoseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([try identity.handler(), bound.value])
                }
            }
            .connect(host: settings.address, port: settings.port)
            .whenFailure { error in bound.value.failed(Self.explain(error)) }
        // A connection that is neither there nor refused is none.
        loop.scheduleTask(in: .nanoseconds((max(silence, .milliseconds(200)) * 2).inNanoseconds)) {
            bound.value.failUnlessReady("no handshake in time")
        }
    }

    func isReady(_ handler: WitnessLinkHandler) {
        guard handler === connection else { return }
        heardAt = monotonicNow()
        askedAt = heardAt
        handler.send(WitnessRequest.hello(session: settings.session, lease: settings.lease, isFirst: isFirst).frame())
        proceed()
    }

    func heard(_ answer: WitnessAnswer, from handler: WitnessLinkHandler) {
        guard handler === connection else { return }
        let now = monotonicNow()
        heardAt = now
        askedAt = nil
        switch answer {
        case .welcome(let silence):
            isWelcome = true
            isFirst = false
            retryDelay = Self.retryMinimum
            if silence > .zero {
                say(.alarm, "\(place) has lost its memory or is new: it grants nothing for \(silence.inMilliseconds) ms")
            } else if said != nil {
                say(.notice, "\(place) answers")
            }
            said = nil
            queue.linkOpened()
        case .answer(let number, let answer): queue.answered(number, answer, at: now)
        case .pong: break
        case .refusal(let reason):
            queue.note(reason)
            return handler.failed("it refuses: \(reason)")
        }
        proceed()
    }

    func lost(_ handler: WitnessLinkHandler, _ reason: String) {
        guard handler === connection else { return }
        connection = nil
        isWelcome = false
        askedAt = nil
        queue.linkClosed("\(place): \(reason)")
        guard !isStopped else { return }
        say(.alarm, "\(place) cannot be asked: \(reason)")
        let delay = retryDelay
        retryDelay = min(retryDelay * 2, Self.retryMaximum)
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .nanoseconds(delay.inNanoseconds)) { bound.value.connect() }
        proceed()
    }

    private func say(_ severity: Event.Severity, _ text: String) {
        guard said != text else { return }
        said = text
        sink.note(Event(severity, "vote", text))
    }

    // MARK: going on

    private func proceed() {
        guard !isStopped else { return }
        let now = monotonicNow()
        queue.tick(at: now)
        if isWelcome, let connection, let attempt = queue.next(at: now) {
            if askedAt == nil { askedAt = now }
            pingAt = now + Self.pingInterval
            connection.send(
                WitnessRequest.ask(
                    number: attempt.number, attempt.request, isTwinEligible: attempt.isTwinEligible
                ).frame())
        }
        if isWelcome, now >= pingAt, let connection {
            pings += 1
            if askedAt == nil { askedAt = now }
            pingAt = now + Self.pingInterval
            connection.send(WitnessRequest.ping(pings).frame())
        }
        for answer in queue.takeAnswers() { sink.answer(answer) }
        if let askedAt, let connection, now >= max(askedAt, heardAt) + silence {
            return connection.failed("no answer for \(silence.inMilliseconds) ms")
        }
        arm(now)
    }

    private func arm(_ now: Instant) {
        var next = queue.nextDeadline ?? .distantFuture
        if let askedAt { next = min(next, max(askedAt, heardAt) + silence) }
        if isWelcome { next = min(next, pingAt) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        alarm.set(next, at: now, on: loop) { bound.value.proceed() }
    }

    /// Words for an operator instead of a library's.
    static func explain(_ error: any Error) -> String {
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate")
            || text.contains("handshakeFailed")
        {
            return "it holds another key for this pair, or does not know this pair"
        }
        if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            return "\(first.error)"
        }
        return text
    }
}

/// One connection of the client, behind TLS.
final class WitnessLinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let link: WitnessLink
    private var context: ChannelHandlerContext?
    private var frames = WitnessFrames()
    private var isReady = false
    private var hasEnded = false

    init(_ link: WitnessLink) { self.link = link }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent {
            isReady = true
            link.isReady(self)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do {
            for frame in try frames.take(unwrapInboundIn(data).readableBytesView) {
                link.heard(try WitnessAnswer(decoding: frame.span.bytes), from: self)
            }
        } catch {
            failed("it does not speak our language: \(error)")
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { failed(WitnessLink.explain(error)) }

    func channelInactive(context: ChannelHandlerContext) {
        failed(isReady ? "the connection was closed" : "it holds another key for this pair, or does not know this pair")
        context.fireChannelInactive()
    }

    func send(_ frame: [UInt8]) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: frame)), promise: nil)
    }

    func failUnlessReady(_ reason: String) { if !isReady { failed(reason) } }

    func failed(_ reason: String) {
        guard !hasEnded else { return }
        hasEnded = true
        close()
        link.lost(self, reason)
    }

    func close() { context?.close(promise: nil) }
}
