import Machine
import Records
import Redundancy
import Witness

/// A witness on a third host and each controller's way to it: the product's own state and queue, behind connections that are
/// cut, slow and made anew. Whatever it has answered is on its disk.
struct SimulatedWitness {
    static let lease: Duration = .seconds(2)
    /// How long a request waits, and a silent connection is believed in.
    static let patience: Duration = .milliseconds(500)
    static let leaseMaximum: Duration = .seconds(3)

    struct Link {
        var queue = VoteQueue(patience: SimulatedWitness.patience)
        var session: UInt64 = 0
        var isUp = false
        /// Nothing passes and nobody is told.
        var isCut = false
        var isFirst = true
        /// Grows whenever a connection ends: what belongs to an older one is lost.
        var connection = 0
        /// When the newest answer reaches the controller.
        var answeredAt = Instant.zero
        /// The time for which a look is scheduled.
        var wakeUp: Instant?
    }
    private(set) var state: WitnessState
    /// The newest start after its first.
    var restartedAt: Instant?
    private var links = [Link(), Link()]

    init() {
        state = WitnessState(names: ["simulated"], found: [nil], lost: [false], leaseMaximum: Self.leaseMaximum, at: .zero)
    }

    subscript(id: ControllerID) -> Link {
        get { links[Int(id.rawValue)] }
        set { links[Int(id.rawValue)] = newValue }
    }

    mutating func hello(_ id: ControllerID, at now: Instant) {
        let client = WitnessState.Client(pair: 0, controller: id)
        _ = state.hello(client, session: self[id].session, lease: Self.lease, isFirst: self[id].isFirst, at: now)
        self[id].isFirst = false
    }

    mutating func ask(_ id: ControllerID, _ attempt: VoteQueue.Attempt, at now: Instant) -> WitnessAnswer {
        let client = WitnessState.Client(pair: 0, controller: id)
        return state.ask(
            client, session: self[id].session, number: attempt.number, attempt.request,
            isTwinEligible: attempt.isTwinEligible, at: now
        ).answer
    }

    mutating func restart(isLost: Bool, at now: Instant) {
        state = WitnessState(
            names: ["simulated"], found: [isLost ? nil : state.records[0]], lost: [isLost], leaseMaximum: Self.leaseMaximum,
            at: now)
    }
}

extension Simulation {
    var hasVote: Bool { options.arbiter == .witness || options.arbiter == .etcd }

    /// Whether nothing is decided for this controller: it does not reach the vote, or the vote has only begun.
    func isVoteOutOfReach(of id: ControllerID) -> Bool {
        hasVote && (witness[id].isCut || !witness[id].isUp || witness.restartedAt.map { now < $0 + .seconds(3) } ?? false)
    }

    /// A process starts: its client knows nothing yet.
    func beginVote(_ node: ControllerNode) {
        guard hasVote else { return }
        let before = witness[node.id]
        var link = SimulatedWitness.Link()
        link.isCut = before.isCut
        link.connection = before.connection + 1
        link.session = UInt64(node.incarnation) << 1 | UInt64(node.id.rawValue)
        witness[node.id] = link
        connectVote(node.id, in: 1...5)
    }

    func connectVote(_ id: ControllerID, in milliseconds: ClosedRange<Int>) {
        queue.schedule(
            .voteConnects(id, connection: witness[id].connection), at: now + .milliseconds(random.number(in: milliseconds)))
    }

    func voteConnects(_ id: ControllerID, connection: Int) {
        guard witness[id].connection == connection, !witness[id].isUp, node(id).life != .dead else { return }
        guard !witness[id].isCut, node(id).life == .running else { return connectVote(id, in: 20...100) }
        witness[id].isUp = true
        witness.hello(id, at: now)
        witness[id].queue.linkOpened()
        pumpVote(node(id))
    }

    /// The connection is known to be gone.
    func loseVote(_ id: ControllerID, _ reason: String) {
        witness[id].connection += 1
        witness[id].isUp = false
        witness[id].queue.linkClosed(reason)
        guard node(id).life != .dead else { return }
        connectVote(id, in: 5...100)
        pumpVote(node(id))
    }

    func askVote(_ request: ArbiterRequest, of node: ControllerNode) {
        if case .renew = request {} else { note("\(node.id) asks the witness \(request)") }
        witness[node.id].queue.ask(request, at: node.clock(now))
        pumpVote(node)
    }

    func pumpVote(_ node: ControllerNode) {
        guard node.life == .running else { return }
        let id = node.id
        witness[id].queue.tick(at: node.clock(now))
        for answer in witness[id].queue.takeAnswers() {
            // From the client's thread to the edge's.
            let time = max(now + .microseconds(random.number(in: 5...40)), witness[id].answeredAt)
            witness[id].answeredAt = time
            if case .renewed = answer {} else { note("\(id) is answered \(answer)") }
            queue.schedule(.arbiterAnswer(to: id, incarnation: node.incarnation, answer), at: time)
        }
        if let attempt = witness[id].queue.next(at: node.clock(now)), !witness[id].isCut {
            // One in sixteen is slow: a disk, a lost segment.
            let delay = random.chance(1, in: 16) ? random.number(in: 1...400) * 1000 : random.number(in: 100...2000)
            queue.schedule(
                .voteArrives(from: id, connection: witness[id].connection, attempt), at: now + .microseconds(delay))
        }
        guard let next = witness[id].queue.nextDeadline else { return }
        let time = max(node.world(next), now)
        if let planned = witness[id].wakeUp, planned <= time, planned > now { return }
        witness[id].wakeUp = time
        queue.schedule(.voteTime(id, incarnation: node.incarnation), at: time)
    }

    func voteArrives(from id: ControllerID, connection: Int, _ attempt: VoteQueue.Attempt) {
        guard witness[id].connection == connection, !witness[id].isCut else { return }
        switch witness.ask(id, attempt, at: now) {
        case .answer(let number, let answer):
            queue.schedule(
                .voteAnswers(to: id, connection: connection, number, answer),
                at: now + .microseconds(random.number(in: 100...2000)))
        case .refusal(let reason): find("the witness refuses \(id): \(reason)")
        case .welcome, .pong: break
        }
    }

    func voteAnswers(to id: ControllerID, connection: Int, _ number: UInt64, _ answer: VoteAnswer) {
        guard witness[id].connection == connection, !witness[id].isCut, node(id).life != .dead else { return }
        if node(id).life == .frozen {
            queue.schedule(.voteAnswers(to: id, connection: connection, number, answer), at: now + .milliseconds(1))
            return
        }
        witness[id].queue.answered(number, answer, at: node(id).clock(now))
        pumpVote(node(id))
    }

    /// Nothing passes between this controller and the witness any more; its client finds out after a while.
    func cutVote(_ id: ControllerID) {
        guard hasVote, !witness[id].isCut else { return }
        witness[id].isCut = true
        guard witness[id].isUp else { return }
        queue.schedule(
            .voteLost(id, connection: witness[id].connection),
            at: now + .milliseconds(random.number(in: 20...500)))
    }

    func healVote(_ id: ControllerID) {
        guard hasVote, witness[id].isCut else { return }
        witness[id].isCut = false
        // What was under way is lost with the connection.
        if witness[id].isUp { loseVote(id, "cut") }
    }

    func restartWitness(isLost: Bool) {
        guard hasVote else { return }
        witness.restart(isLost: isLost, at: now)
        witness.restartedAt = now
        for id in ControllerID.allCases where witness[id].isUp { loseVote(id, "the witness was restarted") }
    }
}
