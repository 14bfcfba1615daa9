import Machine
import Records
import Redundancy
import Testing

@Suite struct LeaseWordTests {
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// A word in which A holds an epoch and B's copy is current or not.
    func held(epoch: UInt64 = 7, twinIsCurrent: Bool = true) -> LeaseWord {
        var word = LeaseWord()
        word.epoch = Epoch(epoch)
        word.holder = .a
        word[isCurrent: .a] = true
        word[isCurrent: .b] = twinIsCurrent
        return word
    }

    @Test func `What the asker is told of its twin's right is asked for only when it stands in the way`() {
        var word = LeaseWord()
        let outcome = word.apply(.acquire(atLeast: .zero), from: .a, policy: .lease) { _ in
            Issue.record("nobody holds it")
            return .over
        }
        #expect(outcome == .granted(Epoch(1), mayResume: false))
    }

    @Test func `Who holds it may acquire again, to step over an epoch that its twin remembers`() {
        var word = held()
        let outcome = word.apply(.acquire(atLeast: Epoch(20)), from: .a, policy: .lease) { _ in .runs(until: at(1)) }
        #expect(outcome == .granted(Epoch(21), mayResume: true))
        #expect(word[isCurrent: .b], "the same log goes on")
    }

    @Test func `A holder that is bound by its pair is followed at once by a twin whose copy is current`() {
        var word = held()
        let outcome = word.apply(.acquire(atLeast: Epoch(7), isResuming: true), from: .b, policy: .pair) { _ in
            .runs(until: at(1000))
        }
        #expect(outcome == .granted(Epoch(8), mayResume: true))
        #expect(word.apply(.renew(Epoch(7)), from: .a, policy: .pair) { _ in .over } == .lost(Epoch(8)))
    }

    @Test func `A twin whose copy is stale waits until the holder's lease has run out, bound or not`() {
        var word = held(twinIsCurrent: false)
        let before = word
        let denied = word.apply(.acquire(atLeast: Epoch(7)), from: .b, policy: .pair) { _ in .runs(until: at(1000)) }
        #expect(denied == .denied(holder: .a, Epoch(7), retryAt: at(1000)))
        #expect(word == before)
        let granted = word.apply(.acquire(atLeast: Epoch(7)), from: .b, policy: .pair) { _ in .over }
        #expect(granted == .granted(Epoch(8), mayResume: false))
    }

    @Test func `A holder that calls its twin stale and a twin that acquires race; whoever comes first has won`() {
        var first = held()
        #expect(
            first.apply(.setTwinEligible(Epoch(7), false), from: .a, policy: .pair) { _ in .over }
                == .twinEligibility(Epoch(7), false))
        #expect(
            first.apply(.acquire(atLeast: Epoch(7), isResuming: true), from: .b, policy: .pair) { _ in .runs(until: at(5)) }
                == .notCurrent(Epoch(7)))
        var second = held()
        #expect(
            second.apply(.acquire(atLeast: Epoch(7), isResuming: true), from: .b, policy: .pair) { _ in .runs(until: at(5)) }
                == .granted(Epoch(8), mayResume: true))
        #expect(second.apply(.setTwinEligible(Epoch(7), false), from: .a, policy: .pair) { _ in .over } == .lost(Epoch(8)))
    }

    @Test func `What was released is kept for the twin even where holders are bound by their pair`() {
        var word = held()
        #expect(word.apply(.release(Epoch(7)), from: .a, policy: .pair) { _ in .over } == .released(Epoch(7)))
        #expect(
            word.apply(.acquire(atLeast: .zero), from: .a, policy: .pair) { _ in .runs(until: at(9)) }
                == .denied(holder: nil, Epoch(7), retryAt: at(9)))
        #expect(
            word.apply(.acquire(atLeast: .zero), from: .b, policy: .pair) { _ in .over } == .granted(Epoch(8), mayResume: true))
        #expect(word[isCurrent: .a], "the old active follows with a whole copy")
    }

    @Test func `Who takes back what a dead twin did not take has no twin whose copy is current`() {
        var word = held()
        _ = word.apply(.release(Epoch(7)), from: .a, policy: .lease) { _ in .over }
        #expect(
            word.apply(.acquire(atLeast: .zero), from: .a, policy: .lease) { _ in .dead } == .granted(Epoch(8), mayResume: true))
        #expect(!word[isCurrent: .b])
    }

    @Test func `A process that begins knows nothing, whatever its predecessor had`() {
        var word = held()
        word.begin(.b)
        #expect(!word[isCurrent: .b])
        #expect(word.holder == .a)
    }

    @Test(arguments: [UInt64.max, UInt64.max >> 6, UInt64.max - 1, 1 << 60])
    func `An absurd epoch is refused and changes nothing`(epoch: UInt64) {
        var word = held()
        let before = word
        let outcome = word.apply(.acquire(atLeast: Epoch(epoch)), from: .b, policy: .pair) { _ in .over }
        guard case .refused(let reason) = outcome else { return _ = Issue.record("\(outcome)") }
        #expect(reason.contains("\(epoch)"))
        #expect(word == before)
    }

    @Test func `The greatest epoch that fits is the last one that is granted`() {
        var word = LeaseWord()
        let last = LeaseWord.epochMaximum
        #expect(
            word.apply(.acquire(atLeast: Epoch(last.value - 1)), from: .a, policy: .lease) { _ in .over }
                == .granted(last, mayResume: false))
        #expect(LeaseWord(bits: word.bits) == word)
        guard case .refused = word.apply(.acquire(atLeast: .zero), from: .a, policy: .lease, twin: { _ in .over }) else {
            return _ = Issue.record("no epoch is left")
        }
    }

    @Test func `A word comes back from its bits, and any 64 bits are a word`() {
        var random = RandomNumbers(seed: 1)
        for _ in 0..<10_000 {
            let word = LeaseWord(bits: random.next())
            #expect(LeaseWord(bits: word.bits) == word)
        }
        #expect(LeaseWord(bits: 0) == LeaseWord())
        #expect(LeaseWord(bits: .max).holder == nil)
    }

    /// What holds whatever is asked in whatever order.
    @Test(arguments: [LeaseWord.Policy.lease, .pair])
    func `Epochs only grow, every grant is a new one, and nobody loses an epoch that is not granted to another`(
        policy: LeaseWord.Policy
    ) {
        var random = RandomNumbers(seed: 42)
        for _ in 0..<2000 {
            var word = LeaseWord()
            for _ in 0..<30 {
                let id: ControllerID = random.next() & 1 == 0 ? .a : .b
                let evidence: LeaseWord.Evidence =
                    switch random.next() % 3 {
                    case 0: .runs(until: at(1))
                    case 1: .over
                    default: .dead
                    }
                let near = Epoch(word.epoch.value &- random.next() % 2)
                let request: ArbiterRequest =
                    switch random.next() % 5 {
                    case 0, 1: .acquire(atLeast: near)
                    case 2: .renew(near)
                    case 3: .release(near)
                    default: .setTwinEligible(near, random.next() & 1 == 0)
                    }
                let before = word
                let outcome = word.apply(request, from: id, policy: policy) { _ in evidence }
                #expect(word.epoch >= before.epoch)
                switch outcome {
                case .granted(let epoch, let mayResume):
                    #expect(epoch > before.epoch && word.holder == id)
                    #expect(mayResume == before[isCurrent: id])
                    if before.holder == id.other, case .runs = evidence { #expect(policy.holderIsBoundByPair && mayResume) }
                case .renewed: #expect(word == before && word.holder == id)
                case .released: #expect(word.holder == nil && word.reserved == id.other)
                case .twinEligibility: #expect(word.holder == id && word[isCurrent: id])
                case .denied, .lost, .refused, .notCurrent: #expect(word == before)
                }
            }
        }
    }
}
