import CHost
import Glibc

/// What the kernel refused, with the call and the errno in words.
public struct SystemError: Error, Sendable, CustomStringConvertible {
    public let call: String
    public let code: Int32

    public init(_ call: String, _ code: Int32 = errno) {
        self.call = call
        self.code = code
    }
    public var description: String { "\(call): \(Self.text(of: code))" }

    static func text(of code: Int32) -> String { String(cString: strerror(code)) }
}

/// A file descriptor with one owner, who closes it by going away.
struct Descriptor: ~Copyable {
    let raw: Int32
    init(_ raw: Int32, _ call: String) throws {
        guard raw >= 0 else { throw SystemError(call) }
        self.raw = raw
    }
    deinit { _ = close(raw) }
}

/// The edge thread's epoll set. Level-triggered; a token names the source.
final class Poller {
    struct Readiness {
        var token: UInt64
        var isReadable: Bool
        var isWritable: Bool
        /// Error or hang-up: reading tells which.
        var isBroken: Bool
    }

    private let descriptor: Descriptor
    private var ready = [epoll_event](repeating: epoll_event(), count: 64)

    init() throws {
        descriptor = try Descriptor(epoll_create1(Int32(EPOLL_CLOEXEC)), "epoll_create1")
    }

    func add(_ fd: Int32, token: UInt64, writable: Bool = false) throws {
        try control(EPOLL_CTL_ADD, fd, token, writable)
    }
    func change(_ fd: Int32, token: UInt64, writable: Bool) {
        try? control(EPOLL_CTL_MOD, fd, token, writable)
    }
    func remove(_ fd: Int32) {
        var event = epoll_event()
        _ = epoll_ctl(descriptor.raw, EPOLL_CTL_DEL, fd, &event)
    }
    private func control(_ operation: Int32, _ fd: Int32, _ token: UInt64, _ writable: Bool) throws {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | (writable ? EPOLLOUT.rawValue : 0)
        event.data.u64 = token
        guard epoll_ctl(descriptor.raw, operation, fd, &event) == 0 else { throw SystemError("epoll_ctl") }
    }

    /// Waits until something is ready or `milliseconds` have passed (-1: for ever; 0: only look).
    func wait(milliseconds: Int32, _ body: (Readiness) -> Void) {
        let count = unsafe ready.withUnsafeMutableBufferPointer { buffer in
            unsafe epoll_wait(descriptor.raw, buffer.baseAddress, Int32(buffer.count), milliseconds)
        }
        guard count > 0 else { return }
        for i in 0..<Int(count) {
            let event = ready[i]
            body(
                Readiness(
                    token: event.data.u64,
                    isReadable: event.events & EPOLLIN.rawValue != 0,
                    isWritable: event.events & EPOLLOUT.rawValue != 0,
                    isBroken: event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0))
        }
    }
}

/// A timerfd on CLOCK_BOOTTIME, to the nanosecond, where epoll's own timeout knows milliseconds only.
struct AlarmClock: ~Copyable {
    private let descriptor: Descriptor
    var fd: Int32 { descriptor.raw }
    private var setFor: Int64 = 0

    init() throws {
        descriptor = try Descriptor(
            timerfd_create(CLOCK_BOOTTIME, Int32(TFD_NONBLOCK | TFD_CLOEXEC)), "timerfd_create")
    }

    /// Rings at `nanoseconds` of CLOCK_BOOTTIME; 0 switches it off. Setting the same time again costs nothing.
    mutating func set(_ nanoseconds: Int64) {
        guard nanoseconds != setFor else { return }
        setFor = nanoseconds
        var time = itimerspec()
        // A time that has passed already rings at once; only zero would switch it off.
        time.it_value.tv_sec = Int(nanoseconds / 1_000_000_000)
        time.it_value.tv_nsec = Int(nanoseconds % 1_000_000_000)
        timerfd_settime(descriptor.raw, Int32(TFD_TIMER_ABSTIME), &time, nil)
    }

    /// Takes note that it rang.
    mutating func acknowledge() {
        var count: UInt64 = 0
        _ = read(descriptor.raw, &count, 8)
        setFor = 0
    }
}
