import CHost
import Glibc
import Synchronization

/// A queue of values between two threads, with a bell that an epoll loop can hear.
///
/// The bell rings only when the queue was empty, so a busy reader costs its writers no system call.
/// Bounded by its users: each says beside its mailbox what limits the number of values in it.
final class Mailbox<Value: Sendable>: Sendable {
    private struct Contents: Sendable {
        var values: [Value] = []
        var isClosed = false
    }
    private let contents = Mutex(Contents())
    /// An eventfd: readable while there is something to take.
    let bell: Int32

    init() throws {
        bell = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard bell >= 0 else { throw SystemError("eventfd") }
    }
    deinit { _ = Glibc.close(bell) }

    /// Returns false when the reader is gone.
    @discardableResult
    func put(_ value: consuming Value) -> Bool {
        let value = value
        let (wasEmpty, isOpen) = contents.withLock { contents in
            guard !contents.isClosed else { return (false, false) }
            contents.values.append(value)
            return (contents.values.count == 1, true)
        }
        if wasEmpty { ring() }
        return isOpen
    }

    /// Everything that was put since the last call, in order; `spare` becomes the queue's new storage.
    func take(into spare: inout [Value]) {
        spare.removeAll(keepingCapacity: true)
        contents.withLock { contents in
            // Silence the bell under the lock: a value put after this rings it again.
            var count: UInt64 = 0
            _ = read(bell, &count, 8)
            swap(&contents.values, &spare)
        }
    }

    /// Waits until there is something to take.
    func waitForBell() {
        var poll = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
        _ = Glibc.poll(&poll, 1, -1)
    }

    var count: Int { contents.withLock { $0.values.count } }

    /// From here on `put` refuses.
    func close() {
        contents.withLock { $0.isClosed = true }
        ring()
    }

    private func ring() {
        var one: UInt64 = 1
        _ = write(bell, &one, 8)
    }
}
