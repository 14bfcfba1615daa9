import Identity
import Machine
import NIOCore
import Records
import Redundancy
import Witness

/// The vote of an etcd cluster, asked on an event loop of its own (`VoteThread`).
///
/// The pair's word is one key; it changes by transactions that compare its revision, so that of two controllers one is first.
/// The holder has a lease of etcd and a key that is bound to it: while the key is there the lease may run, when it is gone it
/// has run out, wherever the clocks are. Own leases end TTL after the *sending* of what began them.
///
/// Epochs are at least the cluster's revision, so they grow even if the keys were lost. A holder that finds the word gone puts
/// it back; nobody is granted anything in its absence while a holder's key is there.
///
/// Here are the queue of requests and the lease; what a request does to the keys is in `EtcdLink+Requests`. Unchecked, because
/// promises want values that may cross threads; everything here stays on `loop`.
final class EtcdLink: VoteLink, @unchecked Sendable {
    struct Settings: Sendable {
        var cluster: EtcdCluster
        /// `nil`: made of the cluster's files once.
        var access: Renewable<EtcdAccess>?
        var prefix: String
        var pair: String
        var controller: ControllerID
        /// Random for each start of this process.
        var session: UInt64
        /// Whole seconds; etcd knows no others.
        var ttl: Int64
    }

    let settings: Settings
    let keys: EtcdKeys
    let gateway: EtcdGateway
    let loop: any EventLoop
    private let sink: VoteSink
    private var queue: VoteQueue
    /// Our own lease in etcd, which is kept alive also while there is nothing to hold, so that a take-over finds it.
    var lease: (id: Int64, until: Instant)?
    /// The lease to which our holder's key is bound.
    var boundLease: Int64?
    /// The keys as they were seen last; a transaction finds out whether they still are.
    var view: EtcdView?
    private var hasBegun = false
    private var isBusy = false
    private var isStopped = false
    private var keepAt = Instant.zero
    private var retryAt: Instant?
    private var retryDelay = EtcdLink.retryMinimum
    private var alarm = LoopAlarm()
    private var said: String?

    private static let retryMinimum = Duration.milliseconds(10), retryMaximum = Duration.milliseconds(500)
    var ttl: Duration { .seconds(settings.ttl) }
    /// How often somebody who is refused looks again.
    var poll: Duration { min(ttl / 10, .milliseconds(250)) }

    init(_ settings: Settings, _ sink: VoteSink, _ loop: any EventLoop) throws {
        self.settings = settings
        self.sink = sink
        self.loop = loop
        keys = EtcdKeys(prefix: settings.prefix, pair: settings.pair)
        let ttl = Duration.seconds(settings.ttl)
        let access = try settings.access ?? Renewable(EtcdAccess(settings.cluster))
        gateway = EtcdGateway(settings.cluster, access, patience: VotePatience.silence(lease: ttl), loop: loop)
        queue = VoteQueue(patience: VotePatience.of(lease: ttl))
    }

    func begin() { proceed() }

    func ask(_ request: ArbiterRequest) {
        queue.ask(request, at: monotonicNow())
        proceed()
    }

    func stop() {
        isStopped = true
        alarm.cancel()
        gateway.stop()
    }

    func note(_ severity: Event.Severity, _ text: String) { sink.note(Event(severity, "vote", text)) }

    // MARK: going on

    func proceed() {
        guard !isStopped else { return }
        let now = monotonicNow()
        queue.tick(at: now)
        for answer in queue.takeAnswers() { sink.answer(answer) }
        if !isBusy, retryAt.map({ $0 <= now }) ?? true {
            retryAt = nil
            work(now)
        }
        arm(now)
    }

    private func work(_ now: Instant) {
        if !hasBegun {
            run(introduce()) { link, _ in
                link.hasBegun = true
                link.queue.linkOpened()
            }
        } else if let attempt = queue.next(at: now) {
            run(carryOut(attempt, at: now), failed: { $0.queue.attemptFailed($1) }) { link, answer in
                link.queue.answered(attempt.number, answer, at: monotonicNow())
            }
        } else if keepAt <= now {
            run(keepLease().and(look()).map { _ in }) { _, _ in }
        }
    }

    private func run<Value: Sendable>(
        _ future: EventLoopFuture<Value>, failed: @escaping @Sendable (EtcdLink, String) -> Void = { $0.queue.note($1) },
        _ done: @escaping @Sendable (EtcdLink, Value) -> Void
    ) {
        isBusy = true
        future.whenComplete { [self] result in
            isBusy = false
            switch result {
            case .success(let value):
                retryDelay = Self.retryMinimum
                keepAt = monotonicNow() + ttl / 3
                if said != nil {
                    said = nil
                    note(.notice, "etcd answers (\(gateway.endpoint))")
                }
                done(self, value)
            case .failure(let error):
                let reason = "\(error)"
                if said != reason {
                    said = reason
                    note(.alarm, "etcd cannot be asked: \(reason)")
                }
                view = nil
                retryAt = monotonicNow() + retryDelay
                retryDelay = min(retryDelay * 2, Self.retryMaximum)
                failed(self, reason)
            }
            proceed()
        }
    }

    private func arm(_ now: Instant) {
        var next = queue.nextDeadline ?? .distantFuture
        if let retryAt, !isBusy { next = min(next, retryAt) } else if hasBegun, !isBusy { next = min(next, keepAt) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        alarm.set(next, at: now, on: loop) { bound.value.proceed() }
    }
}
