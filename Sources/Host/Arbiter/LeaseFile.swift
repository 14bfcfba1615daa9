import CHost
import Foundation
import Glibc
import Machine
import Records

/// The arbiter for two controllers on one machine (DESIGN §8): who speaks as the router is one word in a mapped file.
///
/// The word holds the epoch, the holder, and whether the other controller is in sync and so may go on with the sessions.
/// It changes by compare-and-exchange only, so there is no critical section in which a frozen process could leave the
/// other one waiting. Taking mastership away from the holder needs one of two proofs:
///
/// - the holder's process is dead: the kernel dropped the lock that each controller holds on its own octet of the file;
/// - the holder's lease ran out: it did not renew for that long, so it is frozen or has lost its clock tick.
///
/// The holder looks at the word and at its lease before every burst. A lease that ran out cannot be renewed, only won
/// again with a new epoch; so a process that slept through its lease finds out before it sends anything.
///
/// The file belongs on a memory file system (/run): a mapped page of a disk file can wait for the disk.
public final class LeaseFile {
    /// One moment's view of the file.
    public struct View: Hashable, Sendable {
        public var epoch: Epoch
        public var holder: ControllerID?
        /// The controller that is not the holder has everything that is committed.
        public var isOtherEligible: Bool
        /// The holder's lease, CLOCK_BOOTTIME nanoseconds.
        public var leaseEnd: Int64
        public var isOtherAlive: Bool
    }

    public enum Acquisition: Hashable, Sendable {
        case granted(Epoch)
        /// The twin is alive and its lease runs: ask again after that, or when it dies.
        case held(by: ControllerID, leaseEnd: Int64)
        /// It could be taken, but what we know is stale: sessions must start anew.
        case stale
    }

    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    // Words of the file, by index. All little-endian hosts; the file never leaves the machine.
    private static let magicWord = 0, bootWord = 1, stateWord = 2, leaseWords = 4
    private static let magic: UInt64 = 0x4c6f_636b_7374_0001
    private static let size = 4096
    /// Clock reads on two cores agree far better than this; it is for the frame that left just before the lease ended.
    private static let margin: Int64 = 1_000_000

    private let fd: Int32
    private let words: UnsafeMutablePointer<UInt64>
    public let path: String
    public let controller: ControllerID
    /// How long a renewal lasts, in nanoseconds.
    public let lease: Int64
    /// The state word when we became holder, without the eligibility bit; 0 while we are not.
    private var ownWord: UInt64 = 0
    private var ownLeaseEnd: Int64 = 0

    /// Opens or creates the file and takes the lock that says that this controller lives.
    public init(path: String, controller: ControllerID, lease: Duration) throws {
        self.path = path
        self.controller = controller
        self.lease = lease.inNanoseconds
        let fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw Failure(description: "\(path): \(SystemError("open"))") }
        do {
            let lock = chost_lock(fd, off_t(controller.rawValue))
            guard lock == 0 else {
                throw Failure(description: lock == EAGAIN || lock == EACCES
                    ? "\(path): another process already runs as controller \(controller)"
                    : "\(path): \(SystemError("lock", lock))")
            }
            guard ftruncate(fd, off_t(Self.size)) == 0 else { throw Failure(description: "\(path): \(SystemError("ftruncate"))") }
            guard let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), memory != MAP_FAILED else {
                throw Failure(description: "\(path): \(SystemError("mmap"))")
            }
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

    // epoch << 3 | eligible << 2 | holder (0 nobody, 1 A, 2 B)
    private static func word(_ epoch: Epoch, _ holder: ControllerID?, _ eligible: Bool) -> UInt64 {
        epoch.value << 3 | (eligible ? 4 : 0) | (holder.map { UInt64($0.rawValue) + 1 } ?? 0)
    }
    private static func holder(_ word: UInt64) -> ControllerID? {
        switch word & 3 {
        case 1: .a
        case 2: .b
        default: nil
        }
    }
    private func leaseEnd(of controller: ControllerID) -> Int64 {
        Int64(bitPattern: chost_load(words + Self.leaseWords + Int(controller.rawValue)))
    }

    public var isOtherAlive: Bool { chost_is_locked(fd, off_t(controller.other.rawValue)) == 1 }

    public var view: View {
        let word = chost_load(words + Self.stateWord)
        let holder = Self.holder(word)
        return View(
            epoch: Epoch(word >> 3), holder: holder, isOtherEligible: word & 4 != 0,
            leaseEnd: holder.map(leaseEnd(of:)) ?? 0, isOtherAlive: isOtherAlive)
    }

    /// Asks for mastership.
    ///
    /// - Parameters:
    ///   - epoch: the new epoch is above this and above what the file knows.
    ///   - resuming: we want to go on with the sessions, which only a controller in sync may. False starts them anew.
    ///   - now: CLOCK_BOOTTIME, nanoseconds.
    public func acquire(above epoch: Epoch, resuming: Bool, now: Int64 = chost_now()) -> Acquisition {
        while true {
            let before = chost_load(words + Self.stateWord)
            let known = Epoch(before >> 3)
            if Self.holder(before) == controller.other {
                let end = leaseEnd(of: controller.other)
                if isOtherAlive, now <= end + Self.margin { return .held(by: controller.other, leaseEnd: end) }
            }
            if Self.holder(before) != controller, resuming, before & 4 == 0 { return .stale }
            let won = max(known, epoch).next
            let after = Self.word(won, controller, false)
            // The lease first: nobody may see us as holder with a lease of long ago.
            chost_store(words + Self.leaseWords + Int(controller.rawValue), UInt64(bitPattern: now + lease))
            if chost_compare_exchange(words + Self.stateWord, before, after) {
                ownWord = after
                ownLeaseEnd = now + lease
                return .granted(won)
            }
        }
    }

    /// Whether we may speak. Two loads: cheap enough for every burst.
    public func maySpeak(now: Int64 = chost_now()) -> Bool {
        ownWord != 0 && now < ownLeaseEnd && chost_load(words + Self.stateWord) & ~4 == ownWord
    }

    /// Prolongs our lease. False when it is lost; then only `acquire` helps.
    public func renew(now: Int64 = chost_now()) -> Bool {
        guard maySpeak(now: now) else {
            ownWord = 0
            return false
        }
        chost_store(words + Self.leaseWords + Int(controller.rawValue), UInt64(bitPattern: now + lease))
        ownLeaseEnd = now + lease
        // The twin may have taken over between the look and the store.
        guard chost_load(words + Self.stateWord) & ~4 == ownWord else {
            ownWord = 0
            return false
        }
        return true
    }

    /// As the holder: says whether the twin may go on with the sessions when we are gone. False when we are not the
    /// holder any more; going on alone is then not ours to decide.
    public func setOtherEligible(_ eligible: Bool) -> Bool {
        while ownWord != 0 {
            let before = chost_load(words + Self.stateWord)
            guard before & ~4 == ownWord else { break }
            let after = eligible ? before | 4 : before & ~4
            if before == after || chost_compare_exchange(words + Self.stateWord, before, after) { return true }
        }
        ownWord = 0
        return false
    }

    /// Gives mastership up; the twin may take it at once.
    public func relinquish() {
        let word = ownWord
        ownWord = 0
        guard word != 0 else { return }
        for before in [word, word | 4] {
            if chost_compare_exchange(words + Self.stateWord, before, before & ~3) { return }
        }
    }
}
