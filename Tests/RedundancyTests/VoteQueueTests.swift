import Machine
import Records
import Redundancy
import Testing

@Suite struct VoteQueueTests {
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
    func open() -> VoteQueue {
        var queue = VoteQueue(patience: .milliseconds(500))
        queue.linkOpened()
        return queue
    }
    /// A second at the vote is a thousandth and a millisecond less here.
    let second = Duration.seconds(1) - .milliseconds(2)

    @Test func `A lease counts from the sending, not from the answer, and is a little shorter`() {
        var queue = open()
        queue.ask(.acquire(atLeast: .zero), at: at(0))
        #expect(queue.next(at: at(10))?.number == 1)
        queue.answered(1, .granted(Epoch(1), lease: .seconds(1), mayResume: true), at: at(300))
        #expect(queue.takeAnswers() == [.granted(Epoch(1), leaseUntil: at(10) + second, mayResume: true)])
    }

    @Test func `One request is under way at a time, in order`() {
        var queue = open()
        queue.ask(.renew(Epoch(1)), at: at(0))
        queue.ask(.setTwinEligible(Epoch(1), true), at: at(0))
        #expect(queue.next(at: at(0))?.request == .renew(Epoch(1)))
        #expect(queue.next(at: at(0)) == nil)
        queue.answered(1, .renewed(Epoch(1), lease: .seconds(1)), at: at(1))
        #expect(
            queue.next(at: at(1))
                == .init(
                    number: 2, request: .setTwinEligible(Epoch(1), true), isTwinEligible: false, sent: at(1)))
    }

    @Test
    func
        `What was under way when the connection broke goes out again under its number, and its lease counts from the first time`()
    {
        var queue = open()
        queue.ask(.acquire(atLeast: .zero), at: at(0))
        _ = queue.next(at: at(0))
        queue.linkClosed("cut")
        #expect(queue.next(at: at(50)) == nil)
        queue.linkOpened()
        #expect(queue.next(at: at(100))?.number == 1)
        queue.answered(1, .granted(Epoch(1), lease: .seconds(1), mayResume: false), at: at(101))
        #expect(queue.takeAnswers() == [.granted(Epoch(1), leaseUntil: at(0) + second, mayResume: false)])
    }

    @Test func `A renewal that is repeated counts from the last time`() {
        var queue = open()
        queue.ask(.renew(Epoch(1)), at: at(0))
        _ = queue.next(at: at(0))
        queue.linkClosed("cut")
        queue.linkOpened()
        _ = queue.next(at: at(100))
        queue.answered(1, .renewed(Epoch(1), lease: .seconds(1)), at: at(101))
        #expect(queue.takeAnswers() == [.renewed(Epoch(1), leaseUntil: at(100) + second)])
    }

    @Test func `Without an answer in time the controller is told so, with the reason`() {
        var queue = VoteQueue(patience: .milliseconds(500))
        queue.linkClosed("witness 192.0.2.9: connection refused")
        queue.ask(.release(Epoch(4)), at: at(0))
        #expect(queue.nextDeadline == at(500))
        queue.tick(at: at(499))
        #expect(queue.takeAnswers().isEmpty)
        queue.tick(at: at(500))
        #expect(queue.takeAnswers() == [.unasked("no answer within 500 ms (witness 192.0.2.9: connection refused)")])
        #expect(queue.isIdle, "it was never sent, so it is not in doubt")
    }

    @Test func `Who wants mastership from a vote that is not connected knows it at once`() {
        var queue = VoteQueue(patience: .milliseconds(500))
        queue.ask(.acquire(atLeast: .zero), at: at(0))
        #expect(queue.takeAnswers().isEmpty, "it may be there in a moment")
        queue.linkOpened()
        #expect(queue.next(at: at(1))?.request == .acquire(atLeast: .zero))
        queue.answered(1, .denied(holder: .a, Epoch(4), retryAfter: .seconds(1)), at: at(2))
        _ = queue.takeAnswers()
        queue.linkClosed("cut")
        queue.ask(.acquire(atLeast: .zero, isResuming: true), at: at(3))
        #expect(queue.takeAnswers() == [.unasked("cut")])
        queue.linkOpened()
        #expect(queue.next(at: at(4)) == nil)
    }

    @Test func `A release in doubt goes out again before anything else, and serves whoever asks the same again`() {
        var queue = open()
        queue.ask(.release(Epoch(4)), at: at(0))
        _ = queue.next(at: at(0))
        queue.linkClosed("cut")
        queue.tick(at: at(500))
        #expect(queue.takeAnswers().count == 1)
        queue.ask(.release(Epoch(4)), at: at(550))
        queue.linkOpened()
        #expect(queue.next(at: at(600))?.number == 1)
        queue.answered(1, .released(Epoch(4)), at: at(601))
        #expect(queue.takeAnswers() == [.released(Epoch(4))])
        #expect(queue.isIdle)
    }

    @Test func `What nobody waits for any more is settled first and its answer is not told`() {
        var queue = open()
        queue.ask(.setTwinEligible(Epoch(4), false), at: at(0))
        _ = queue.next(at: at(0))
        queue.linkClosed("cut")
        queue.tick(at: at(500))
        _ = queue.takeAnswers()
        queue.ask(.renew(Epoch(4)), at: at(501))
        queue.linkOpened()
        #expect(queue.next(at: at(510))?.request == .setTwinEligible(Epoch(4), false))
        queue.answered(1, .twinEligibility(Epoch(4), false), at: at(511))
        #expect(queue.takeAnswers().isEmpty)
        #expect(queue.next(at: at(511))?.request == .renew(Epoch(4)))
    }

    @Test func `A grant that nobody heard answers the next who acquires, with what it said of the copy`() {
        var queue = open()
        queue.ask(.acquire(atLeast: Epoch(6)), at: at(0))
        _ = queue.next(at: at(0))
        queue.tick(at: at(500))
        #expect(queue.takeAnswers().count == 1)
        queue.answered(1, .granted(Epoch(7), lease: .seconds(1), mayResume: false), at: at(510))
        #expect(queue.takeAnswers().isEmpty)
        queue.ask(.acquire(atLeast: Epoch(6)), at: at(550))
        #expect(queue.takeAnswers() == [.granted(Epoch(7), leaseUntil: at(0) + second, mayResume: false)])
        #expect(queue.next(at: at(550)) == nil)
    }

    @Test func `A grant that nobody heard cannot make a stale copy current by being asked for again`() {
        var queue = open()
        queue.ask(.acquire(atLeast: Epoch(6)), at: at(0))
        _ = queue.next(at: at(0))
        queue.tick(at: at(500))
        queue.answered(1, .granted(Epoch(7), lease: .seconds(1), mayResume: false), at: at(510))
        _ = queue.takeAnswers()
        // Now the asker has seen a higher one.
        queue.ask(.acquire(atLeast: Epoch(9)), at: at(550))
        #expect(queue.next(at: at(550))?.request == .acquire(atLeast: Epoch(9)))
        queue.answered(2, .granted(Epoch(10), lease: .seconds(1), mayResume: true), at: at(551))
        #expect(queue.takeAnswers() == [.granted(Epoch(10), leaseUntil: at(550) + second, mayResume: false)])
    }

    @Test func `A renewal tells a vote that lost its memory what was confirmed of the twin`() {
        var queue = open()
        queue.ask(.setTwinEligible(Epoch(4), true), at: at(0))
        _ = queue.next(at: at(0))
        queue.answered(1, .twinEligibility(Epoch(4), true), at: at(1))
        queue.ask(.renew(Epoch(4)), at: at(2))
        #expect(queue.next(at: at(2))?.isTwinEligible == true)
        queue.answered(2, .renewed(Epoch(4), lease: .seconds(1)), at: at(3))
        queue.ask(.renew(Epoch(5)), at: at(4))
        #expect(queue.next(at: at(4))?.isTwinEligible == false)
    }

    @Test func `Answers to what was not asked change nothing`() {
        var queue = open()
        let first = queue.answered(1, .released(Epoch(1)), at: at(0))
        queue.ask(.renew(Epoch(1)), at: at(0))
        _ = queue.next(at: at(0))
        let second = queue.answered(2, .renewed(Epoch(1), lease: .seconds(1)), at: at(0))
        #expect(!first && !second)
        #expect(queue.takeAnswers().isEmpty)
    }
}
