import CHost
import Foundation
import Glibc
import Machine
import Records
import Redundancy

/// One lease file as an inode: open, mapped, with a lock for each controller that lives. Which of two inodes counts when
/// the path's was removed or replaced is `LeaseFile`'s business.
final class LeasePage {
    struct Identity: Equatable {
        var device: UInt64
        var inode: UInt64
    }
    enum Opening {
        /// What is at the path; made if there is nothing.
        case orMake
        /// What is at the path, with our lock.
        case existing
        /// What is at the path, without a lock: to look at it.
        case look
        /// A new file, for which the path must be free.
        case new
    }

    // Words of the file, by index. Little-endian; the file never leaves the machine.
    static let magicWord = 0, bootWord = 1, stateWord = 2, lineageWord = 3, leaseWords = 4, bornWord = 6, savedWord = 7
    static let generationWord = 8
    private static let magic: UInt64 = 0x4c6f_636b_7374_0001
    private static let size = 4096
    /// In the place of the state: it went to another file, and what it was is in `savedWord`. No state has these bits.
    static let superseded = UInt64.max
    /// The octet whose lock makes a process the only one that takes the state elsewhere; 0 and 1 are the controllers'.
    private static let moveOctet: off_t = 2

    let fd: Int32
    let words: UnsafeMutablePointer<UInt64>
    let identity: Identity

    init(path: String, controller: ControllerID, _ opening: Opening, at now: Instant) throws {
        func failure(_ call: String) -> LeaseFile.Failure { LeaseFile.Failure(description: "\(path): \(SystemError(call))") }
        let flags: Int32 =
            switch opening {
            case .orMake: O_RDWR | O_CREAT
            case .existing, .look: O_RDWR
            case .new: O_RDWR | O_CREAT | O_EXCL
            }
        let low = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard low >= 0 else { throw failure("open") }
        let fd = Sockets.raise(low, above: Sockets.leaseFloor)
        do {
            if opening != .look {
                let lock = chost_lock(fd, off_t(controller.rawValue))
                guard lock == 0 else {
                    let isTaken = lock == EAGAIN || lock == EACCES
                    throw LeaseFile.Failure(
                        description: isTaken
                            ? "\(path): another process already runs as controller \(controller)"
                            : "\(path): \(SystemError("lock", lock))", isDuplicate: isTaken)
                }
            }
            var status = stat()
            guard fstat(fd, &status) == 0 else { throw failure("fstat") }
            identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
            // Nothing is cut off from a file of somebody else.
            if status.st_size == 0, opening != .look {
                guard ftruncate(fd, off_t(Self.size)) == 0 else { throw failure("ftruncate") }
            } else if status.st_size != Self.size {
                throw LeaseFile.Failure(description: "\(path): not a lease file of this release")
            }
            // Opened once more: a mapping holds its open file, and with it the lock, until the memory is torn down, which
            // takes its time; our death must be seen before that.
            let mapped = open("/proc/self/fd/\(fd)", O_RDWR | O_CLOEXEC)
            guard mapped >= 0 else { throw failure("open") }
            defer { close(mapped) }
            guard let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0), memory != MAP_FAILED
            else { throw failure("mmap") }
            words = unsafe memory.bindMemory(to: UInt64.self, capacity: Self.size / 8)
        } catch {
            chost_unlock_and_close(fd)
            throw error
        }
        self.fd = fd
        let found = self[Self.magicWord]
        guard found == Self.magic || (found == 0 && opening != .look) else {
            throw LeaseFile.Failure(description: "\(path): not a lease file of this release")
        }
        guard opening == .orMake || opening == .existing else { return }
        forgetEarlierBoot()
        var random = SystemRandomNumberGenerator()
        _ = exchange(Self.lineageWord, 0, random.next() | 1)
        _ = exchange(Self.bornWord, 0, UInt64(bitPattern: now.nanoseconds))
        finish()
    }

    deinit {
        munmap(words, Self.size)
        chost_unlock_and_close(fd)
    }

    /// Only with this is it a lease file to others.
    func finish() { _ = exchange(Self.magicWord, 0, Self.magic) }

    /// What is at a path now; `nil` for nothing.
    static func identity(at path: String) -> Identity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// CLOCK_BOOTTIME begins anew with the machine, so times from before a reboot mean nothing. The epoch stays.
    private func forgetEarlierBoot() {
        let text = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
        var digest = StateDigest(1)
        for byte in text.utf8 { digest.mix(UInt64(byte)) }
        let before = self[Self.bootWord]
        guard before != digest.value, exchange(Self.bootWord, before, digest.value) else { return }
        self[Self.leaseWords] = 0
        self[Self.leaseWords + 1] = 0
        self[Self.bornWord] = 0
    }

    // MARK: words

    subscript(word: Int) -> UInt64 {
        get { chost_load(words + word) }
        set { chost_store(words + word, newValue) }
    }
    func exchange(_ word: Int, _ expected: UInt64, _ desired: UInt64) -> Bool {
        chost_compare_exchange(words + word, expected, desired)
    }

    var isSuperseded: Bool { self[Self.stateWord] == Self.superseded }
    /// The state, or what it was when it went elsewhere.
    var knowledge: UInt64 {
        let bits = self[Self.stateWord]
        return bits == Self.superseded ? self[Self.savedWord] : bits
    }
    var lineage: UInt64 { self[Self.lineageWord] }
    /// Grows with every successor of one lineage.
    var generation: UInt64 { self[Self.generationWord] }
    var born: Instant { Instant(nanoseconds: Int64(bitPattern: self[Self.bornWord])) }

    func leaseEnd(of controller: ControllerID) -> Instant {
        Instant(nanoseconds: Int64(bitPattern: self[Self.leaseWords + Int(controller.rawValue)]))
    }
    func setLeaseEnd(of controller: ControllerID, _ end: Instant) {
        self[Self.leaseWords + Int(controller.rawValue)] = UInt64(bitPattern: end.nanoseconds)
    }

    // MARK: locks

    /// Whether another open file holds that controller's lock.
    func isAlive(_ controller: ControllerID) -> Bool { chost_is_locked(fd, off_t(controller.rawValue)) == 1 }

    /// The right to take the state elsewhere; the kernel takes it back from a process that dies at it.
    func lockMoving() -> Bool { chost_lock(fd, Self.moveOctet) == 0 }
    func unlockMoving() { chost_unlock(fd, Self.moveOctet) }

    /// Nothing is decided here any more. Returns false when the state is not `bits` any more.
    func supersede(_ bits: UInt64) -> Bool {
        if bits == Self.superseded { return true }
        self[Self.savedWord] = bits
        return exchange(Self.stateWord, bits, Self.superseded)
    }
    /// Takes back `supersede`.
    func restore() { _ = exchange(Self.stateWord, Self.superseded, self[Self.savedWord]) }

    /// A new file beside the path with everything that this one knows, and our lock on it. It is no lease file until
    /// `finish`.
    func successor(at path: String, for controller: ControllerID, at now: Instant) throws -> LeasePage {
        unlink(path)
        let page = try LeasePage(path: path, controller: controller, .new, at: now)
        page[Self.bootWord] = self[Self.bootWord]
        page[Self.lineageWord] = lineage
        page[Self.generationWord] = generation + 1
        page[Self.bornWord] = UInt64(bitPattern: now.nanoseconds)
        return page
    }
    func copyLeases(to page: LeasePage) {
        for controller in ControllerID.allCases { page.setLeaseEnd(of: controller, leaseEnd(of: controller)) }
    }
}
