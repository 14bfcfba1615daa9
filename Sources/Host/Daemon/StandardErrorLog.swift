import Foundation
import Logging
import Management
import Records

/// One line on standard error for each event: time of day, severity, component, message. It is for the journal of the
/// host; the datastore keeps events for `show events`.
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
        let name = switch level {
        case .trace, .debug: "debug  "
        case .info: "info   "
        case .notice: "notice "
        case .warning: "warning"
        case .error, .critical: "ALARM  "
        }
        // One write for one line, so that lines of several threads do not mix. Line ends that a peer sent stay visible.
        let safe = message.replacingOccurrences(of: "\n", with: "\\n")
        let line = "\(ManagementTime.text(Date())) \(name) \(component): \(safe)\n"
        line.withCString { _ = Foundation.write(2, $0, strlen($0)) }
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
