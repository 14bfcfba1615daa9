import BGP
import Machine
import Records
import Routing
import Wire

/// After a cold start, from the first configuration under a mastership on: are the routes of a life before, which kernels may
/// still have, replaced by what holds now? From that moment on what nobody named is removed from both kernels, the active's
/// and the standby's, at the same record.
///
/// It is so when every BGP neighbour that is up has said all (`BGPInstance.firstRoutes`) and no interior protocol is at work:
/// at once if all neighbours are up and nothing else is configured, else after `patience`, by which who is there has been
/// found; and after `bound` whatever is missing.
struct FirstRoutesWatch: Sendable {
    /// A dead interval of OSPF with its Wait timer, two updates of RIP, the handshakes of BGP and BFD; who is not there by
    /// then is not waited for.
    static let patience = Duration.seconds(60)
    /// The default of others for what RFC 4724 §4.1 calls the Selection_Deferral_Timer.
    static let bound = Duration.seconds(360)
    /// How often interior protocols are looked at then.
    static let pause = Duration.seconds(1)

    /// `nil`: it has not begun.
    private(set) var since: Instant?
    private var nextLook = Instant.zero
    private(set) var isOver = false
    /// Both kernels are still to hear of it; between two pieces of work only after the record that said so.
    var isNews = false

    var nextDeadline: Instant? { since != nil && !isOver ? nextLook : nil }

    mutating func begin(at now: Instant) {
        since = now
        nextLook = now + Self.patience
    }

    /// Whether a deadline is reached; the next one follows.
    mutating func isDue(at now: Instant) -> Bool {
        guard now >= nextLook else { return false }
        nextLook = now + Self.pause
        return true
    }

    mutating func end() {
        isOver = true
        isNews = true
    }
}

extension EngineState {
    /// The end of each record.
    mutating func watchFirstRoutes(into effects: inout [IndexedEffect]) {
        if firstRoutes.isOver { return }
        let hasNews = streams.bgp.takeFirstRoutesNews()
        guard let since = firstRoutes.since else {
            guard epoch > .zero, revision > 0 else { return }
            firstRoutes.begin(at: now)
            return judgeFirstRoutes(after: .zero, into: &effects)
        }
        // Evaluated in this order: a deadline is taken in any case.
        let isDue = firstRoutes.isDue(at: now)
        if isDue || hasNews { judgeFirstRoutes(after: now - since, into: &effects) }
    }

    private mutating func judgeFirstRoutes(after elapsed: Duration, into effects: inout [IndexedEffect]) {
        let neighbors = streams.bgp.firstRoutes
        let isPatient = elapsed >= FirstRoutesWatch.patience
        // What comes by itself and in its time: hellos, updates, sessions that hold static routes back.
        let hasSlowOnes = interior.isAnyActive || configuration.staticRoutes.contains { $0.bfd != nil }
        let isReady =
            switch neighbors {
            case .awaited: false
            case .absent: isPatient && !interior.isConverging
            case .complete: hasSlowOnes ? isPatient && !interior.isConverging : true
            }
        guard isReady || elapsed >= FirstRoutesWatch.bound else { return }
        firstRoutes.end()
        systemDigest.mix(0x6669_7273_74)
        let seconds = elapsed.inMilliseconds / 1000
        note(
            .notice,
            isReady
                ? "the first routes are complete after \(seconds) s; what a life before left in the kernel is removed"
                : "not every neighbor has said all in \(seconds) s; what a life before left in the kernel is removed",
            into: &effects)
    }

    /// What changed in the forwarding table since the last call.
    mutating func takeFIBUpdate() -> FIBUpdate {
        var update = routes.takeFIBUpdate()
        update.hasFirstRoutes = firstRoutes.isNews
        firstRoutes.isNews = false
        return update
    }

    /// The whole forwarding table.
    var completeFIBUpdate: FIBUpdate {
        var update = routes.completeFIBUpdate
        update.hasFirstRoutes = firstRoutes.isOver
        return update
    }
}

extension FirstRoutesWatch: Fielded {
    static let section = SnapshotSection(13, "first-routes", schemas: 1...1)
    static var blank: Self { .init() }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&since)
        try visitor.field(&nextLook)
        try visitor.field(&isOver)
        visitor.derived(isNews)
    }
}
