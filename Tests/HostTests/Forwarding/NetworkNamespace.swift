import CHost
import Foundation
import Testing

@testable import Host

/// A network namespace of a test's own: the test's thread goes into it, and it ends with the sockets and devices in
/// it. What needs root is skipped without it.
enum NetworkNamespace {
    static let isAvailable = geteuid() == 0
    static let why: Comment = "network namespaces need root: run the tests by sudo to have this one"

    /// Runs `body` in a fresh namespace. It must not suspend: the namespace belongs to the thread.
    static func run(_ body: () throws -> Void) throws {
        let before = chost_network_enter_new()
        guard before >= 0 else { throw SystemError("unshare", -before) }
        defer {
            let code = chost_network_return(before)
            precondition(code == 0, "a thread of the pool returns to its namespace")
        }
        try body()
    }

    /// A command in the caller's namespace: a child inherits it from the thread that makes it. Returns what it prints.
    @discardableResult
    static func shell(_ command: String) throws -> String {
        struct Failed: Error, CustomStringConvertible {
            let description: String
        }
        // popen, for Foundation's Process waits by a run loop that this thread does not have.
        guard let pipe = popen("exec 2>&1; " + command, "r") else { throw SystemError("popen") }
        var text = ""
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), pipe) != nil {
            text += String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        let status = pclose(pipe)
        guard status == 0 else { throw Failed(description: "\(command): \(text)") }
        return text
    }
}
