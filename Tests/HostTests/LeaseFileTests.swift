import CHost
import Foundation
import Machine
import Records
import Redundancy
import Testing

@testable import Host

/// A file that goes away with the test.
final class TemporaryFile: Sendable {
    let path: String
    init() { path = NSTemporaryDirectory() + "/lockstep-test-\(UUID().uuidString)" }
    deinit { unlink(path) }
}

/// A child that has all our descriptors, as one has that is about to run another program.
struct ForkedChild: ~Copyable {
    private let id = chost_fork_paused()
    init() throws { try #require(id > 0) }
    deinit {
        guard id > 0 else { return }
        kill(id, SIGKILL)
        var status: Int32 = 0
        waitpid(id, &status, 0)
    }
}

@Suite struct LeaseFileTests {
    let file = TemporaryFile()
    let lease = Duration.milliseconds(50)
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000) }
    func open(_ controller: ControllerID) throws -> LeaseFile {
        try LeaseFile(path: file.path, controller: controller, lease: lease, quarantine: .zero, at: at(0))
    }

    @Test func `The first to ask is granted epoch 1 and may not resume, for it knows nothing yet`() throws {
        let a = try open(.a)
        #expect(
            a.answer(.acquire(atLeast: .zero), at: at(0))
                == .granted(Epoch(1), leaseUntil: at(50), mayResume: false))
        #expect(a.maySpeak(at: at(49)))
        #expect(!a.maySpeak(at: at(50)))
    }

    @Test func `A twin is denied while the holder lives and its lease runs`() throws {
        let a = try open(.a), b = try open(.b)
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        #expect(b.answer(.acquire(atLeast: .zero), at: at(10)) == .denied(holder: .a, Epoch(1), retryAt: at(51)))
        #expect(!b.maySpeak(at: at(10)))
    }

    @Test func `When the holder's descriptor is gone its twin takes over at once, lease or not`() throws {
        var a: LeaseFile? = try open(.a)
        let b = try open(.b)
        _ = a?.answer(.acquire(atLeast: .zero), at: at(0))
        #expect(a?.answer(.setTwinEligible(Epoch(1), true), at: at(1)) == .twinEligibility(Epoch(1), true))
        a = nil
        #expect(b.answer(.acquire(atLeast: .zero), at: at(2)) == .granted(Epoch(2), leaseUntil: at(52), mayResume: true))
    }

    @Test func `A child that was forked in between does not keep the holder alive`() throws {
        var a: LeaseFile? = try open(.a)
        let b = try open(.b)
        _ = a?.answer(.acquire(atLeast: .zero), at: at(0))
        let child = try ForkedChild()
        #expect(b.isTwinAlive)
        a = nil
        #expect(!b.isTwinAlive)
        _ = consume child
    }

    @Test func `While the kernel is still burying the holder, its twin is told to ask again soon`() throws {
        let a = try open(.a), b = try open(.b)
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        b.isTwinSaidDead = true
        #expect(
            b.answer(.acquire(atLeast: .zero), at: at(10))
                == .denied(holder: .a, Epoch(1), retryAt: at(10) + .microseconds(200)))
        #expect(a.maySpeak(at: at(10)))
    }

    @Test func `The kernel drops the lock of a process that is killed`() throws {
        let b = try open(.b)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let (path, end) = (file.path, ends[1])
        let child = path.withCString { path -> Int32 in
            let child = chost_fork()
            if child == 0 {
                // Only C from here on: this is a copy of a process with many threads.
                let fd = Glibc.open(path, O_RDWR)
                var status = UInt8(chost_lock(fd, 0) == 0 ? 1 : 0)
                write(end, &status, 1)
                while true { pause() }
            }
            return child
        }
        var locked: UInt8 = 0
        #expect(read(ends[0], &locked, 1) == 1)
        #expect(locked == 1)
        #expect(b.isTwinAlive)
        kill(child, SIGKILL)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        #expect(!b.isTwinAlive)
        close(ends[0])
        close(ends[1])
    }

    @Test func `A holder that slept through its lease finds mastership gone before it speaks`() throws {
        let a = try open(.a), b = try open(.b)
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        _ = a.answer(.setTwinEligible(Epoch(1), true), at: at(1))
        // a is frozen: it does not renew, and its lock stays.
        #expect(b.isTwinAlive)
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(52)) == .granted(Epoch(2), leaseUntil: at(102), mayResume: true))
        #expect(!a.maySpeak(at: at(53)))
        #expect(a.answer(.renew(Epoch(1)), at: at(53)) == .lost(Epoch(2)))
        #expect(!a.maySpeak(at: at(53)))
        #expect(b.maySpeak(at: at(53)))
    }

    @Test func `A late renewal does not prolong the lease of whoever took over`() throws {
        let a = try open(.a), b = try open(.b)
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        _ = b.answer(.acquire(atLeast: .zero), at: at(60))
        _ = a.answer(.renew(Epoch(1)), at: at(100))
        // b's own lease ended at 110; a may take it back after that although it wrote its own slot at 100.
        #expect(a.answer(.acquire(atLeast: .zero), at: at(105)) == .denied(holder: .b, Epoch(2), retryAt: at(111)))
        guard case .granted(Epoch(3), _, _) = a.answer(.acquire(atLeast: .zero), at: at(112)) else {
            Issue.record("mastership that ran out must be free")
            return
        }
    }

    @Test func `A lease that ran out may be renewed as long as nobody took the epoch`() throws {
        let a = try open(.a)
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        #expect(!a.maySpeak(at: at(200)))
        #expect(a.answer(.renew(Epoch(1)), at: at(200)) == .renewed(Epoch(1), leaseUntil: at(250)))
        #expect(a.maySpeak(at: at(201)))
    }

    @Test func `A twin whose copy is not current may take over but not resume`() throws {
        var a: LeaseFile? = try open(.a)
        let b = try open(.b)
        _ = a?.answer(.acquire(atLeast: .zero), at: at(0))
        _ = a?.answer(.setTwinEligible(Epoch(1), true), at: at(1))
        _ = a?.answer(.setTwinEligible(Epoch(1), false), at: at(2))
        a = nil
        #expect(b.answer(.acquire(atLeast: .zero), at: at(3)) == .granted(Epoch(2), leaseUntil: at(53), mayResume: false))
    }

    @Test func `A released mastership is kept for the twin for the length of a lease`() throws {
        let a = try open(.a), b = try open(.b)
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        _ = a.answer(.setTwinEligible(Epoch(1), true), at: at(1))
        #expect(a.answer(.release(Epoch(1)), at: at(10)) == .released(Epoch(1)))
        #expect(!a.maySpeak(at: at(11)))
        #expect(a.answer(.acquire(atLeast: .zero), at: at(12)) == .denied(holder: nil, Epoch(1), retryAt: at(61)))
        #expect(b.answer(.acquire(atLeast: .zero), at: at(13)) == .granted(Epoch(2), leaseUntil: at(63), mayResume: true))
    }

    @Test func `A process that starts again knows nothing, whatever its predecessor had`() throws {
        var a: LeaseFile? = try open(.a)
        _ = a?.answer(.acquire(atLeast: .zero), at: at(0))
        a = nil
        a = try open(.a)
        #expect(a?.answer(.acquire(atLeast: .zero), at: at(5)) == .granted(Epoch(2), leaseUntil: at(55), mayResume: false))
    }

    @Test func `Two processes cannot be the same controller`() throws {
        let a = try open(.a)
        let error = #expect(throws: LeaseFile.Failure.self) { _ = try open(.a) }
        #expect(error?.description.contains("another process already runs as controller A") == true)
        #expect(a.mastership.holder == nil)
    }

    @Test func `A file of something else is refused and left as it is`() throws {
        try Data(repeating: 0x41, count: 4096).write(to: URL(fileURLWithPath: file.path))
        #expect(throws: LeaseFile.Failure.self) { _ = try open(.a) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == Data(repeating: 0x41, count: 4096))
    }
}
