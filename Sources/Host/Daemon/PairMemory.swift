import Foundation
import Glibc
import Redundancy

/// What a controller keeps of itself and of the pair beside its datastore: its own identity, made at its first start, and
/// the key of the pair's beats. A small file of its own, since it is needed before the datastore is open, and because a
/// datastore may be copied on purpose and an identity must not.
struct PairMemory: Equatable, Sendable {
    var identity: UInt64
    var key: PairKey?

    private static let header = "lockstep pair 1"

    static func path(datastore: String) -> String { datastore + ".pair" }

    /// Reads the file, or makes one. A damaged file is replaced, since all that is lost with it is made again.
    /// - Returns: the memory, and what an operator should know.
    static func load(datastore: String) -> (PairMemory, warning: String?) {
        let path = path(datastore: datastore)
        var random = SystemRandomNumberGenerator()
        let fresh = PairMemory(identity: random.next() | 1, key: nil)
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            let isMissing = access(path, F_OK) != 0 && errno == ENOENT
            let failure = fresh.store(datastore: datastore)
            return (
                fresh, failure ?? (isMissing ? nil : "\(path) cannot be read (\(error.localizedDescription)); a new one is made")
            )
        }
        if let memory = PairMemory(text: text) { return (memory, nil) }
        let failure = fresh.store(datastore: datastore)
        return (fresh, failure ?? "\(path) is damaged; a new identity is made")
    }

    init(identity: UInt64, key: PairKey?) {
        self.identity = identity
        self.key = key
    }

    init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: true).map { $0.split(separator: " ") }
        guard let first = lines.first, first.joined(separator: " ") == Self.header else { return nil }
        var identity: UInt64?
        for line in lines.dropFirst() {
            switch (line.first, line.count) {
            case ("identity", 2): identity = UInt64(line[1], radix: 16)
            case ("key", 3):
                guard let high = UInt64(line[1], radix: 16), let low = UInt64(line[2], radix: 16) else { return nil }
                key = PairKey(high: high, low: low)
            default: return nil
            }
        }
        guard let identity, identity != 0 else { return nil }
        self.identity = identity
    }

    var text: String {
        var text = "\(Self.header)\nidentity \(String(identity, radix: 16))\n"
        if let key { text += "key \(String(key.high, radix: 16)) \(String(key.low, radix: 16))\n" }
        return text
    }

    /// Writes the file so that a power cut leaves the old one or the new one. Returns why it could not be written.
    func store(datastore: String) -> String? {
        let path = Self.path(datastore: datastore)
        let part = path + ".part"
        let fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard fd >= 0 else { return "\(part): \(SystemError("open"))" }
        let octets = Array(text.utf8)
        let written = write(fd, octets, octets.count)
        let isSynced = written == octets.count && fsync(fd) == 0
        let failure = isSynced ? nil : "\(part): \(SystemError("write"))"
        close(fd)
        if let failure {
            unlink(part)
            return failure
        }
        guard rename(part, path) == 0 else { return "\(path): \(SystemError("rename"))" }
        let directory = open(URL(fileURLWithPath: path).deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
        return nil
    }
}
