import Configuration
import Foundation


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
        var status = stat()
        guard stat(path, &status) == 0 else { throw Refusal(description: "\(path): \(SystemError("stat"))") }
        guard status.st_mode & 0o077 == 0 else {
            throw Refusal(description: "\(path): others than its owner may read or write the shared key; run: chmod 600 \(path)")
        }
        var octets = try octets(path)
        while let last = octets.last, last == 10 || last == 13 { octets.removeLast() }
        guard octets.count >= ChannelIdentity.sharedKeyLengthMinimum else {
            throw Refusal(description: "\(path): the shared key has \(octets.count) octets, at least "
                + "\(ChannelIdentity.sharedKeyLengthMinimum) are needed; make one with: openssl rand -hex 32 > \(path)")
        }
        return octets
    }
}
