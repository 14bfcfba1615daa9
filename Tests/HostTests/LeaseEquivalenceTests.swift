import CHost
import Glibc
import Machine
import Records
import Redundancy
import Testing

@testable import Host

/// The same requests, asked of the lease file of two processes and of the word in memory that the simulator asks: what was
/// proven about the one is true of the other.
@Suite struct LeaseEquivalenceTests {
    static let lease = Duration.milliseconds(50)

    /// Two processes that live and die, and the file between them, beside the table.
    struct Pair {
        let file = TemporaryFile()
        var table = LeaseTable(margin: LeaseFile.margin)
        var processes: [LeaseFile?] = [nil, nil]
        var now = Instant(nanoseconds: 1_000_000_000)

        mutating func start(_ id: ControllerID) throws {
            guard processes[Int(id.rawValue)] == nil else { return }
            // A test beside this one may have forked at this moment: its child has our locks until it becomes another program.
            try waitForDeath(of: id)
            processes[Int(id.rawValue)] = try LeaseFile(
                path: file.path, controller: id, lease: LeaseEquivalenceTests.lease, staleWait: LeaseWord.Policy.lease.staleWait,
                quarantine: .zero, at: now)
            table.begin(id)
        }
        mutating func kill(_ id: ControllerID) {
            processes[Int(id.rawValue)] = nil
            try? waitForDeath(of: id)
        }
        /// Until nobody has the lock of this controller any more.
        private func waitForDeath(of id: ControllerID) throws {
            let fd = open(file.path, O_RDWR | O_CLOEXEC)
            guard fd >= 0 else { return }
            defer { close(fd) }
            var lock = flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: off_t(id.rawValue), l_len: 1, l_pid: 0)
            // F_OFD_SETLKW
            while fcntl(fd, 38, &lock) != 0 {
                guard errno == EINTR else { throw SystemError("lock") }
            }
            // Said, not left to `close`: a child that was forked at this moment has the descriptor, too.
            chost_unlock(fd, off_t(id.rawValue))
        }
        func isAlive(_ id: ControllerID) -> Bool { processes[Int(id.rawValue)] != nil }
    }

    static func request(_ random: inout RandomNumbers, _ epoch: Epoch) -> ArbiterRequest {
        let asked: Epoch =
            switch random.number(in: 0...9) {
            case 0: .zero
            case 1: Epoch(epoch.value + 3)
            case 2: epoch.value > 0 ? Epoch(epoch.value - 1) : .zero
            case 3: random.chance(1, in: 20) ? Epoch(.max) : epoch
            default: epoch
            }
        return switch random.number(in: 0...7) {
        case 0, 1, 2: .acquire(atLeast: asked, isResuming: random.chance(1, in: 2))
        case 3: .renew(asked)
        case 4: .release(asked)
        default: .setTwinEligible(asked, random.chance(1, in: 2))
        }
    }

    @Test(arguments: 0..<10)
    func `File and memory give the same answers to a thousand random sequences`(part: Int) throws {
        for seed in part * 1000..<(part + 1) * 1000 {
            var random = RandomNumbers(seed: UInt64(seed))
            var pair = Pair()
            for id in ControllerID.allCases { try pair.start(id) }
            for step in 0..<25 {
                pair.now = pair.now + .microseconds(random.number(in: 0...(random.chance(1, in: 10) ? 4_000_000 : 20_000)))
                let id: ControllerID = random.chance(1, in: 2) ? .a : .b
                guard !random.chance(1, in: 12) else {
                    if pair.isAlive(id) { pair.kill(id) } else { try pair.start(id) }
                    continue
                }
                guard let process = pair.processes[Int(id.rawValue)] else { continue }
                let request = Self.request(&random, pair.table.word.epoch)
                let expected = pair.table.answer(
                    request, from: id, at: pair.now, lease: Self.lease, isTwinDead: !pair.isAlive(id.other))
                let answer = process.answer(request, at: pair.now)
                guard answer == expected, process.mastership == pair.table.word else {
                    Issue.record(
                        """
                        seed \(seed), step \(step): \(id) asks \(request): the file says \(answer) and holds \
                        \(process.mastership), memory says \(expected) and holds \(pair.table.word)
                        """)
                    return
                }
            }
        }
    }
}
