import CHost
import Foundation
import Glibc
import Machine
import Records
import Redundancy

/// The arbiter for two controllers on one machine (DESIGN §8): who speaks as the router is one word in a mapped file.
///
/// What the word says and what a request does to it is `LeaseWord`'s. Here it changes by compare-and-exchange only, so there
/// is no critical section in which a frozen process could leave the other one waiting. Taking mastership away from the
/// holder needs one of two proofs:
///
/// - the holder's process is dead: the kernel dropped the lock that each controller holds on its own octet of the file;
/// - the holder's lease ran out: it did not renew for that long, so it is frozen or starved.
///
/// The holder reads the word and compares its lease with the clock before every burst, so a process that slept through
/// its lease finds out before it sends anything. Each controller writes its lease into a slot of its own: a late renewal
/// cannot prolong the other's.
///
/// The file belongs on a memory file system (/run): a mapped page of a disk file can wait for the disk.
public final class LeaseFile {
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    // Words of the file, by index. Little-endian; the file never leaves the machine.
    private static let magicWord = 0, bootWord = 1, stateWord = 2, leaseWords = 4
    private static let magic: UInt64 = 0x4c6f_636b_7374_0001
    private static let size = 4096
    /// For the frames that were on their way into the device when the lease ended.
    static let margin = Duration.milliseconds(1)

    private let fd: Int32
    private let words: UnsafeMutablePointer<UInt64>
    public let path: String
    public let controller: ControllerID
    public let lease: Duration
    /// The epoch under which we believe to hold mastership, 0 for none.
    private var ownEpoch = Epoch.zero
    private var ownLeaseEnd = Instant.zero
    /// The channel's end says that the twin's process is gone, though the kernel may take a moment to drop its lock.
    public var isTwinSaidDead = false
    private static let deathPoll = Duration.microseconds(200)

    /// Opens or creates the file and takes the lock that says that this controller lives.
    public init(path: String, controller: ControllerID, lease: Duration) throws {
        self.path = path
        self.controller = controller
        self.lease = lease
        let low = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard low >= 0 else { throw Failure(description: "\(path): \(SystemError("open"))") }
        let fd = Sockets.raise(low, above: Sockets.leaseFloor)
        do {
            let lock = chost_lock(fd, off_t(controller.rawValue))
            guard lock == 0 else {
                throw Failure(description: lock == EAGAIN || lock == EACCES
                    ? "\(path): another process already runs as controller \(controller)"
                    : "\(path): \(SystemError("lock", lock))")
            }
            guard ftruncate(fd, off_t(Self.size)) == 0 else {
                throw Failure(description: "\(path): \(SystemError("ftruncate"))")
            }
            // Opened once more: a mapping holds its open file, and with it the lock, until the memory is torn down, which
            // takes its time; our death must be seen before that.
            let mapped = open(path, O_RDWR | O_CLOEXEC)
            guard mapped >= 0 else { throw Failure(description: "\(path): \(SystemError("open"))") }
            defer { close(mapped) }
            guard let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0), memory != MAP_FAILED
            else { throw Failure(description: "\(path): \(SystemError("mmap"))") }
            words = unsafe memory.bindMemory(to: UInt64.self, capacity: Self.size / 8)
        } catch {
            close(fd)
            throw error
        }
        self.fd = fd
        _ = chost_compare_exchange(words + Self.magicWord, 0, Self.magic)
        guard chost_load(words + Self.magicWord) == Self.magic else {
            munmap(words, Self.size)
            close(fd)
            throw Failure(description: "\(path): not a lease file of this release")
        }
        forgetLeasesOfEarlierBoot()
        // Whatever our last process had, this one knows nothing yet.
        change { $0.begin(controller) }
    }

    deinit {
        munmap(words, Self.size)
        close(fd)
    }

    /// CLOCK_BOOTTIME begins anew with the machine, so leases from before a reboot mean nothing. The epoch stays.
    private func forgetLeasesOfEarlierBoot() {
        let text = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        var digest = StateDigest(1)
        for byte in text.utf8 { digest.mix(UInt64(byte)) }
        let before = chost_load(words + Self.bootWord)
        guard before != digest.value, chost_compare_exchange(words + Self.bootWord, before, digest.value) else { return }
        chost_store(words + Self.leaseWords, 0)
        chost_store(words + Self.leaseWords + 1, 0)
    }

    /// A crash gives the lock up from the signal handler. Only one lease file of a process can have that.
    func releaseOnCrash() { chost_gasp_lock(fd) }

    var mastership: LeaseWord { LeaseWord(bits: chost_load(words + Self.stateWord)) }

    var isTwinAlive: Bool { chost_is_locked(fd, off_t(controller.other.rawValue)) == 1 }

    private func slot(_ controller: ControllerID) -> UnsafeMutablePointer<UInt64> {
        words + Self.leaseWords + Int(controller.rawValue)
    }
    private func leaseEnd(of controller: ControllerID) -> Instant {
        Instant(nanoseconds: Int64(bitPattern: chost_load(slot(controller))))
    }
    private func setLeaseEnd(_ end: Instant) { chost_store(slot(controller), UInt64(bitPattern: end.nanoseconds)) }

    private func change(_ body: (inout LeaseWord) -> Void) {
        while true {
            let before = chost_load(words + Self.stateWord)
            var state = LeaseWord(bits: before)
            body(&state)
            if state.bits == before || chost_compare_exchange(words + Self.stateWord, before, state.bits) { return }
        }
    }

    /// Answers a request of our controller. `now` is CLOCK_BOOTTIME.
    public func answer(_ request: ArbiterRequest, at now: Instant) -> ArbiterAnswer {
        chost_stop_if_dying()
        let end = now + lease
        while true {
            let before = chost_load(words + Self.stateWord)
            var state = LeaseWord(bits: before)
            let outcome = state.apply(request, from: controller, policy: .lease) { twinEvidence(LeaseWord(bits: before), now) }
            switch outcome {
            case .granted, .renewed, .released:
                // The lease first: nobody may see us as holder with a lease of long ago. Should the word change now, the
                // slot says nothing, because it counts only for whoever holds mastership or released it.
                setLeaseEnd(end)
            case .denied, .twinEligibility, .lost, .refused: break
            }
            // Also when nothing changes in it: the twin may have taken over since the look.
            guard chost_compare_exchange(words + Self.stateWord, before, state.bits) else { continue }
            remember(outcome, end)
            return ArbiterAnswer(hurried(outcome, now), leaseUntil: end)
        }
    }

    private func twinEvidence(_ state: LeaseWord, _ now: Instant) -> LeaseWord.Evidence {
        guard isTwinAlive else { return .dead }
        // A reservation is as long as the lease that the releaser wrote into its slot, which is ours.
        return LeaseWord.Evidence(until: leaseEnd(of: state.holder ?? controller) + Self.margin, at: now)
    }

    private func remember(_ outcome: LeaseWord.Outcome, _ end: Instant) {
        switch outcome {
        case .granted(let epoch, _), .renewed(let epoch):
            ownEpoch = epoch
            ownLeaseEnd = end
        case .released, .lost: ownEpoch = .zero
        case .denied, .twinEligibility, .refused: break
        }
    }

    /// The kernel is about to drop the lock of a twin that the channel calls dead.
    private func hurried(_ outcome: LeaseWord.Outcome, _ now: Instant) -> LeaseWord.Outcome {
        guard isTwinSaidDead, case .denied(let holder, let epoch, let end) = outcome else { return outcome }
        return .denied(holder: holder, epoch, retryAt: min(end, now + Self.deathPoll))
    }

    /// Whether we may speak. Two loads: cheap enough for every burst.
    public func maySpeak(at now: Instant) -> Bool {
        ownEpoch != .zero && now < ownLeaseEnd && mastership.isHeld(by: controller, ownEpoch)
    }
}
