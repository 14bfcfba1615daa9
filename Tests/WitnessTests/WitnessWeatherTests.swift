import Machine
import Records
import Redundancy
import Testing
import Witness

/// Two controllers, a witness, and a network that cuts connections at any moment and loses what is on its way; the witness is
/// killed and started again with what was on its disk. Under virtual time, from a seed.
@Suite struct WitnessWeatherTests {
    static let lease = Duration.milliseconds(200)

    final class World {
        final class Node {
            let client: WitnessState.Client
            var queue = VoteQueue(patience: .milliseconds(100))
            /// What was asked and is not answered yet, oldest first.
            var asked: [ArbiterRequest] = []
            var heldEpoch = Epoch.zero
            var leaseUntil = Instant.zero
            var isLinked = false
            /// Grows with every connection; what belongs to an older one is lost.
            var connection = 0
            init(_ client: WitnessState.Client) { self.client = client }
        }
        var random: RandomNumbers
        var now = Instant(nanoseconds: 1_000_000_000)
        var state: WitnessState
        let nodes: [Node]
        var flights: [(at: Instant, order: Int, action: () -> Void)] = []
        var order = 0
        var heardGrants: Set<Epoch> = []
        /// What changed hands by which request: a second time by the same one is a request that was carried out twice.
        var applied: [Applied: LeaseWord] = [:]
        struct Applied: Hashable {
            var client: WitnessState.Client
            var number: UInt64
        }
        var findings: [String] = []

        init(seed: UInt64) {
            random = RandomNumbers(seed: seed)
            state = WitnessState(names: ["r"], found: [nil], lost: [false], leaseMaximum: .seconds(1), at: now)
            nodes = ControllerID.allCases.map { Node(.init(pair: 0, controller: $0)) }
        }

        func fly(_ action: @escaping () -> Void) {
            order += 1
            // In order on each connection: the delay is one for all.
            flights.append((now + .milliseconds(2), order, action))
        }

        func connect(_ node: Node) {
            guard !node.isLinked else { return }
            node.isLinked = true
            node.connection += 1
            let session = UInt64(node.client.controller.rawValue) + 1
            _ = state.hello(
                node.client, session: session, lease: WitnessWeatherTests.lease, isFirst: node.connection == 1, at: now)
            node.queue.linkOpened()
        }
        func cut(_ node: Node) {
            node.isLinked = false
            node.connection += 1
            node.queue.linkClosed("cut")
        }
        func restartWitness() {
            // Everything that was answered is on the disk.
            state = WitnessState(names: ["r"], found: [state.records[0]], lost: [false], leaseMaximum: .seconds(1), at: now)
            for node in nodes { cut(node) }
        }

        func ask(_ node: Node) {
            guard node.asked.count < 4 else { return }
            let isHolding = node.heldEpoch != .zero
            let request: ArbiterRequest =
                switch random.number(in: 0...5) {
                case 0, 1, 2:
                    isHolding
                        ? .renew(node.heldEpoch) : .acquire(atLeast: node.heldEpoch, isResuming: random.chance(1, in: 2))
                case 3: isHolding ? .setTwinEligible(node.heldEpoch, random.chance(1, in: 2)) : .acquire(atLeast: .zero)
                case 4: isHolding && random.chance(1, in: 4) ? .release(node.heldEpoch) : .renew(node.heldEpoch)
                default: .renew(node.heldEpoch)
                }
            node.asked.append(request)
            node.queue.ask(request, at: now)
        }

        func send(_ node: Node) {
            guard node.isLinked, let attempt = node.queue.next(at: now) else { return }
            let connection = node.connection
            fly { [self] in
                guard node.connection == connection else { return }
                let before = state.records[0].word
                let reply = state.ask(
                    node.client, session: UInt64(node.client.controller.rawValue) + 1, number: attempt.number, attempt.request,
                    isTwinEligible: attempt.isTwinEligible, at: now)
                guard case .answer(let number, let answer) = reply.answer else {
                    return findings.append("refused: \(reply.answer)")
                }
                let after = state.records[0].word
                if after.epoch != before.epoch || after.holder != before.holder {
                    let key = Applied(client: node.client, number: number)
                    if let first = applied[key] { findings.append("request \(number) led to \(first) and again to \(after)") }
                    applied[key] = after
                }
                if case .granted(let epoch, _, false) = answer, before.epoch < epoch {
                    // Nobody whose right might run may be overtaken by a twin that is not current.
                    let twin = nodes[Int(node.client.controller.other.rawValue)]
                    if twin.heldEpoch == before.epoch, before.holder == twin.client.controller, now < twin.leaseUntil {
                        findings.append("epoch \(epoch) was granted while \(before) ran until \(twin.leaseUntil)")
                    }
                }
                fly {
                    guard node.connection == connection else { return }
                    node.queue.answered(number, answer, at: self.now)
                }
            }
        }

        func hear(_ node: Node) {
            node.queue.tick(at: now)
            for answer in node.queue.takeAnswers() {
                guard !node.asked.isEmpty else { return findings.append("an answer to nothing: \(answer)") }
                let request = node.asked.removeFirst()
                switch (request, answer) {
                case (.acquire(let least, _), .granted(let epoch, let until, _)):
                    if epoch <= least { findings.append("\(epoch) is not above \(least)") }
                    if !heardGrants.insert(epoch).inserted { findings.append("epoch \(epoch) was granted twice") }
                    node.heldEpoch = epoch
                    node.leaseUntil = until
                case (.renew(let asked), .renewed(let epoch, let until)):
                    if asked != epoch { findings.append("renewed \(epoch) instead of \(asked)") }
                    if epoch == node.heldEpoch { node.leaseUntil = until }
                case (.release, .released), (_, .lost):
                    node.heldEpoch = .zero
                    node.leaseUntil = .zero
                case (.acquire, .denied), (.acquire, .notCurrent), (.setTwinEligible, .twinEligibility),
                    (_, .unavailable), (_, .unasked):
                    break
                default: findings.append("\(answer) answers \(request)")
                }
            }
        }

        func run() {
            for _ in 0..<2000 {
                now = now + .milliseconds(1)
                for flight in flights.filter({ $0.at <= now }).sorted(by: { $0.order < $1.order }) { flight.action() }
                flights.removeAll { $0.at <= now }
                for node in nodes {
                    if random.chance(1, in: 40) { cut(node) }
                    if random.chance(1, in: 8) { connect(node) }
                    if random.chance(1, in: 3) { ask(node) }
                    hear(node)
                    send(node)
                }
                if random.chance(1, in: 300) { restartWitness() }
            }
            // The weather clears: whatever is open is settled.
            for _ in 0..<500 {
                now = now + .milliseconds(1)
                for flight in flights.filter({ $0.at <= now }).sorted(by: { $0.order < $1.order }) { flight.action() }
                flights.removeAll { $0.at <= now }
                for node in nodes {
                    connect(node)
                    hear(node)
                    send(node)
                }
            }
            for node in nodes where !node.asked.isEmpty || !node.queue.isIdle { findings.append("\(node.asked) has no answer") }
        }
    }

    @Test(arguments: 0..<40)
    func `Every request is answered once and in order, no epoch is granted twice, no running lease is overtaken`(seed: Int) {
        let world = World(seed: UInt64(seed))
        world.run()
        #expect(world.findings.isEmpty, "seed \(seed): \(world.findings.prefix(3))")
        #expect(!world.heardGrants.isEmpty)
    }
}
