import Foundation
import Logging
import Management
import Records
import Synchronization

/// One line on standard error for each event: time of day, severity, component, message. It is for the journal of the
/// host; the datastore keeps events for `show events`.
///
/// Whoever reads standard error may stop reading. So lines wait in a queue of bounded size for a thread of their own, and
/// nobody who has something to say waits for them; what found no room is counted and said when there is room again.
struct StandardErrorLog: LogHandler {
    let label: String
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        Self.write(level: event.level, component: label, message: event.message.description)
    }

    static func write(level: Logger.Level, component: String, message: String) {
        let name =
            switch level {
            case .trace, .debug: "debug  "
            case .info: "info   "
            case .notice: "notice "
            case .warning: "warning"
            case .error, .critical: "ALARM  "
            }
        // Line ends that a peer sent stay visible.
        let safe = message.replacingOccurrences(of: "\n", with: "\\n")
        lines.put("\(ManagementTime.text(Date())) \(name) \(component): \(safe)\n")
    }

    private static let lines = LineQueue(descriptor: 2)

    /// Waits until what was said is written, but not for a reader that reads nothing: before the process ends.
    static func flush(atMost seconds: Double = 0.5) { lines.flush(atMost: seconds) }

    /// For somebody on the way to safety who must not wait: the line goes out if there is room for it now.
    static func writeWithoutWaiting(_ line: String) { LineQueue.writeIfReady(line, to: 2) }
}

/// Lines on their way to a descriptor that may block.
final class LineQueue: Sendable {
    /// Octets that wait at most.
    static let octetsMaximum = 1 << 20

    private struct State {
        var lines: [String] = []
        var octets = 0
        var leftOut = 0
        var isRunning = false
        var isWriting = false
    }
    private let state = Mutex(State())
    private let hasNews = DispatchSemaphore(value: 0)
    private let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    func put(_ line: String) {
        let (isFirst, isNews) = state.withLock { state in
            guard state.octets + line.utf8.count <= Self.octetsMaximum else {
                state.leftOut += 1
                return (false, false)
            }
            state.lines.append(line)
            state.octets += line.utf8.count
            defer { state.isRunning = true }
            return (!state.isRunning, true)
        }
        // A thread of the system, as early as anything is said: before our own threads exist, too.
        if isFirst { Thread.detachNewThread { [self] in run() } }
        if isNews { hasNews.signal() }
    }

    private func run() {
        while true {
            hasNews.wait()
            let (lines, leftOut) = state.withLock { state in
                defer {
                    state.lines.removeAll(keepingCapacity: true)
                    state.octets = 0
                    state.leftOut = 0
                    state.isWriting = true
                }
                return (state.lines, state.leftOut)
            }
            // One write for one line, so that lines of several processes do not mix.
            for line in lines { write(line) }
            if leftOut > 0 { write("lockstepd: \(leftOut) lines were left out here: standard error was not read\n") }
            state.withLock { $0.isWriting = false }
        }
    }

    private func write(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&ready, 1, -1)
                continue
            }
            // Nobody is there any more.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func flush(atMost seconds: Double) {
        let end = Date().addingTimeInterval(seconds)
        while state.withLock({ !$0.lines.isEmpty || $0.isWriting }), Date() < end { usleep(1000) }
    }

    /// Less than a pipe takes at once (PIPE_BUF), and only if it takes anything.
    static func writeIfReady(_ line: String, to descriptor: Int32) {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&ready, 1, 0) == 1, ready.revents & Int16(POLLOUT) != 0 else { return }
        let octets = Array(line.utf8.prefix(Int(PIPE_BUF)))
        _ = unsafe octets.withUnsafeBytes { unsafe Foundation.write(descriptor, $0.baseAddress, $0.count) }
    }
}

extension Event.Severity {
    var level: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .alarm: .error
        }
    }
}
