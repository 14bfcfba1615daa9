import Configuration
import Foundation
import Identity

/// Reading configuration files from disk.
public enum ConfigurationFiles {
    /// Octets of a file that is read at all.
    static let lengthMaximum = 16 << 20

    /// Why the daemon cannot start with what is on disk; every problem on a line of its own.
    public struct Refusal: Error, CustomStringConvertible {
        public let description: String
    }

    static func octets(_ path: String) throws -> [UInt8] {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Refusal(description: "\(path): cannot be read: \(SystemError("open"))")
        }
        defer { try? handle.close() }
        let data = try handle.read(upToCount: lengthMaximum + 1) ?? Data()
        guard data.count <= lengthMaximum else {
            throw Refusal(description: "\(path): more than \(lengthMaximum >> 20) MiB is no configuration")
        }
        return Array(data)
    }

    /// The controller file, or all of its problems.
    public static func controller(_ path: String) throws -> (ControllerFile, warnings: [String]) {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let result = ControllerText.read(try octets(path), file: path, directory: directory)
        guard let value = result.value else {
            throw Refusal(description: result.problems.map(\.description).joined(separator: "\n"))
        }
        return (value, result.warnings.map(\.description))
    }

    /// The secret in a key file: its octets without the line end. Others must not be able to read it.
    static func sharedKey(_ path: String) throws -> [UInt8] {
        do { return try SharedKey.read(path) } catch { throw Refusal(description: "\(error)") }
    }
}
