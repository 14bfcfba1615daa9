import Machine
import Records
import Redundancy
import Testing

@Suite struct LeaseTableTests {
    let lease = Duration.milliseconds(40)
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test("Nobody else is granted while a lease runs; when it is over the next epoch is")
    func exclusive() {
        var table = LeaseTable()
        func ask(_ request: ArbiterRequest, _ id: ControllerID, _ ms: Int64, dead: Bool = false) -> ArbiterAnswer {
            table.answer(request, from: id, at: at(ms), lease: lease, isTwinDead: dead)
        }
        #expect(
            ask(.acquire(atLeast: .zero, isResuming: false), .a, 0) == .granted(Epoch(1), leaseUntil: at(40), mayResume: false))
        #expect(ask(.acquire(atLeast: .zero, isResuming: true), .b, 39) == .notCurrent(Epoch(1)))
        // Who would begin anew waits far longer than the lease: the holder may only have stumbled.
        #expect(ask(.acquire(atLeast: .zero, isResuming: false), .b, 39) == .denied(holder: .a, Epoch(1), retryAt: at(3040)))
        #expect(ask(.setTwinEligible(Epoch(1), true), .a, 39) == .twinEligibility(Epoch(1), true))
        #expect(ask(.renew(Epoch(1)), .a, 39) == .renewed(Epoch(1), leaseUntil: at(79)))
        #expect(
            ask(.acquire(atLeast: .zero, isResuming: true), .b, 79) == .granted(Epoch(2), leaseUntil: at(119), mayResume: true))
        #expect(ask(.renew(Epoch(1)), .a, 80) == .lost(Epoch(2)))
        #expect(ask(.setTwinEligible(Epoch(1), false), .a, 80) == .lost(Epoch(2)))
    }

    @Test("A lease that ran out is renewed as long as nobody took the epoch")
    func lateRenewal() {
        var table = LeaseTable()
        _ = table.answer(.acquire(atLeast: .zero, isResuming: false), from: .a, at: at(0), lease: lease, isTwinDead: false)
        #expect(
            table.answer(.renew(Epoch(1)), from: .a, at: at(500), lease: lease, isTwinDead: false)
                == .renewed(Epoch(1), leaseUntil: at(540)))
    }

    @Test("A dead holder's lease counts for nothing")
    func deadHolder() {
        var table = LeaseTable()
        _ = table.answer(.acquire(atLeast: .zero, isResuming: false), from: .a, at: at(0), lease: lease, isTwinDead: false)
        _ = table.answer(.setTwinEligible(Epoch(1), true), from: .a, at: at(0), lease: lease, isTwinDead: false)
        #expect(
            table.answer(.acquire(atLeast: .zero, isResuming: true), from: .b, at: at(1), lease: lease, isTwinDead: true)
                == .granted(Epoch(2), leaseUntil: at(41), mayResume: true))
        #expect(!table.isEligible(.a), "whoever died has to join again")
    }

    @Test("1118: a release reserves mastership for the twin, keeps both copies current, and can be taken back")
    func release() {
        var table = LeaseTable()
        func ask(_ request: ArbiterRequest, _ id: ControllerID, _ ms: Int64) -> ArbiterAnswer {
            table.answer(request, from: id, at: at(ms), lease: lease, isTwinDead: false)
        }
        _ = ask(.acquire(atLeast: .zero, isResuming: false), .a, 0)
        _ = ask(.setTwinEligible(Epoch(1), true), .a, 0)
        #expect(ask(.release(Epoch(1)), .a, 1) == .released(Epoch(1)))
        #expect(ask(.acquire(atLeast: .zero, isResuming: true), .a, 2) == .denied(holder: nil, Epoch(1), retryAt: at(41)))
        #expect(ask(.acquire(atLeast: .zero, isResuming: true), .b, 3) == .granted(Epoch(2), leaseUntil: at(43), mayResume: true))
        #expect(table.isEligible(.a))
        #expect(ask(.release(Epoch(2)), .b, 4) == .released(Epoch(2)))
        #expect(
            ask(.acquire(atLeast: .zero, isResuming: true), .b, 60) == .granted(Epoch(3), leaseUntil: at(100), mayResume: true))
    }
}

@Suite struct RouterClockTests {
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test("A standby whose clock differs by hours takes over in the active's time, a margin ahead, never back")
    func takeOver() {
        var clock = RouterClock()
        // The active's router time is 1000 s + t; this host's clock says 5 s + t; heartbeats need 1 to 3 ms.
        for t in stride(from: Int64(0), to: 500, by: 10) {
            clock.follow(at(1_000_000 + t), at: at(5000 + t + 1 + t % 3))
        }
        clock.saw(at(1_000_495))
        let before = clock.routerTime(at: at(5500))
        clock.takeOver(at: at(5500), margin: .milliseconds(10))
        let after = clock.routerTime(at: at(5500))
        #expect(after > at(1_000_500))
        #expect(after <= at(1_000_520))
        #expect(after > before)
        #expect(clock.routerTime(at: clock.localTime(of: at(1_002_000))) == at(1_002_000))
    }

    @Test("Who follows a router that began anew on a host with an earlier time of day has its time, not the old one")
    func forget() {
        var clock = RouterClock(start: .seconds(3600))
        clock.saw(at(3_700_000))
        clock.forget()
        clock.follow(at(1000), at: at(100_000))
        #expect(clock.routerTime(at: at(100_000)) == at(1000))
        clock.takeOver(at: at(100_050), margin: .milliseconds(10))
        #expect(clock.routerTime(at: at(100_050)) == at(1060), "an hour more would end every hold timer")
    }

    @Test("Whoever resumes goes on in the router's time, whatever the time of day is where its twin was started again")
    func claim() {
        var clock = RouterClock()
        clock.follow(at(1000), at: at(100_000))
        // The active died and came back at once, on a host an hour ahead.
        clock.heardClaim(of: at(3_601_000))
        var fresh = clock
        clock.takeOver(at: at(100_050), margin: .milliseconds(10))
        #expect(clock.routerTime(at: at(100_050)) == at(1060), "an hour more would end every hold timer")
        fresh.takeOver(at: at(100_050), margin: .milliseconds(10), isFresh: true)
        #expect(fresh.routerTime(at: at(100_050)) == at(3_601_010), "what the twin may have used is not used again")
    }

    @Test("Router time does not go below what was seen in a record")
    func records() {
        var clock = RouterClock()
        clock.follow(at(100), at: at(100))
        clock.saw(at(400))
        #expect(clock.routerTime(at: at(101)) == at(400))
    }
}

@Suite struct RecordLogTests {
    func record(_ index: UInt64, _ octets: Int = 0) -> Record {
        Record(
            index: LogIndex(index), time: .zero,
            body: .tcpReceived(ConnectionID(2), bytes: Array(repeating: 1, count: octets), peerTimestamp: 0))
    }

    @Test("A log gives ranges, forgets from its beginning, and counts what it holds")
    func log() {
        var log = RecordLog(after: LogIndex(10))
        for i in 11...5000 { log.append(record(UInt64(i), 10)) }
        #expect(log.octets == 4990 * 74)
        log.truncate(upTo: LogIndex(4000))
        #expect(log.count == 1000)
        #expect(log.octets == 1000 * 74)
        #expect(log.start == LogIndex(4000))
        #expect(log.record(at: LogIndex(4000)) == nil)
        #expect(log.record(at: LogIndex(4001))?.index == LogIndex(4001))
        #expect(log.records(after: LogIndex(0), upTo: LogIndex(4002)).map(\.index.value) == [4001, 4002])
        #expect(log.records(after: LogIndex(4998), upTo: LogIndex(9999)).map(\.index.value) == [4999, 5000])
        log.replace(LogIndex(4500), with: .quarantined(.other))
        #expect(log.octets == 1000 * 74 - 10)
        log.truncate(upTo: LogIndex(9999))
        #expect(log.isEmpty)
        #expect(log.octets == 0)
        #expect(log.last == LogIndex(5000))
        log.append(record(5001))
        #expect(log.count == 1)
    }
}
