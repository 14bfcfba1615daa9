import Foundation
import Synchronization
import Witness

/// Why the witness cannot use its file.
public struct WitnessStoreError: Error, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
    init(_ path: String, _ call: String) {
        description = "\(path): \(call): \(String(cString: strerror(errno)))"
    }
}

/// The witness's file: two places of one sector for each pair. A new version of a pair's record goes over the older one, and
/// is on the disk before `write` returns; so a power cut can only damage what was not acknowledged yet.
///
/// One thread at a time.
final class WitnessStore: @unchecked Sendable {
    /// The file as it was found, by the order of the names asked for.
    struct Found {
        /// There was no file: whatever was in one is lost.
        var isNew: Bool
        /// `nil` for a pair that was never there.
        var records: [WitnessRecord?]
        /// One of the pair's two places cannot be read: perhaps the newer one.
        var isDamaged: [Bool]
    }

    private static let header = Array("lockstep witness 1\n".utf8)
    /// Where the first record is: the header has a sector of its own.
    private static let headerSize = WitnessRecord.size

    let path: String
    private var fd: Int32
    private let names: [String]
    /// By pair: the number of its first place, and the sequence of what was written last.
    private var places: [Int]
    private var sequences: [UInt64]

    /// Opens the file, or makes it.
    static func open(path: String, names: [String]) throws -> (WitnessStore, Found) {
        var isNew = false
        var status = stat()
        if stat(path, &status) != 0 {
            guard errno == ENOENT else { throw WitnessStoreError(path, "stat") }
            try make(path)
            isNew = true
        }
        let fd = Foundation.open(path, O_RDWR | O_CLOEXEC)
        guard fd >= 0 else { throw WitnessStoreError(path, "open") }
        do {
            guard flock(fd, LOCK_EX | LOCK_NB) == 0 else {
                throw WitnessStoreError("\(path): another witness uses this file")
            }
            let (store, records, isDamaged) = try load(path, fd, names)
            return (store, Found(isNew: isNew, records: records, isDamaged: isDamaged))
        } catch {
            close(fd)
            throw error
        }
    }

    private init(path: String, fd: Int32, names: [String], places: [Int], sequences: [UInt64]) {
        self.path = path
        self.fd = fd
        self.names = names
        self.places = places
        self.sequences = sequences
    }

    deinit { close() }

    func close() {
        if fd >= 0 { Self.close(fd) }
        fd = -1
    }

    /// Lets the lock go first: it belongs to the open file, which a child that was forked a moment ago holds, too.
    private static func close(_ fd: Int32) {
        flock(fd, LOCK_UN)
        Foundation.close(fd)
    }

    /// A file that is there is whole.
    private static func make(_ path: String) throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let beside = path + ".new"
        unlink(beside)
        let fd = Foundation.open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard fd >= 0 else { throw WitnessStoreError(beside, "open") }
        defer { Foundation.close(fd) }
        var octets = header
        octets += [UInt8](repeating: 0, count: headerSize - octets.count)
        guard pwrite(fd, octets, octets.count, 0) == octets.count, fsync(fd) == 0 else {
            throw WitnessStoreError(beside, "write")
        }
        guard rename(beside, path) == 0 else { throw WitnessStoreError(path, "rename") }
        let directory = Foundation.open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw WitnessStoreError(folder, "open") }
        defer { Foundation.close(directory) }
        guard fsync(directory) == 0 else { throw WitnessStoreError(folder, "fsync") }
    }

    private static func load(
        _ path: String, _ fd: Int32, _ names: [String]
    ) throws -> (WitnessStore, [WitnessRecord?], [Bool]) {
        var status = stat()
        guard fstat(fd, &status) == 0 else { throw WitnessStoreError(path, "fstat") }
        // Far more than the pairs that one witness may have (and had before).
        guard status.st_size <= 64 << 20 else { throw WitnessStoreError("\(path): too long for a witness's file") }
        var octets = [UInt8](repeating: 0, count: Int(status.st_size))
        guard pread(fd, &octets, octets.count, 0) == octets.count else { throw WitnessStoreError(path, "read") }
        guard octets.count >= headerSize, octets.starts(with: header) else {
            throw WitnessStoreError("\(path): not a witness's file; move it away to begin with an empty one")
        }
        var position: [String: Int] = [:]
        for (number, name) in names.enumerated() { position[name] = number }
        var places = [Int](repeating: -1, count: names.count)
        var sequences = [UInt64](repeating: 0, count: names.count)
        var records = [WitnessRecord?](repeating: nil, count: names.count)
        var isDamaged = [Bool](repeating: false, count: names.count)
        let count = (octets.count - headerSize) / (WitnessRecord.size * 2)
        for place in 0..<count {
            var versions: [(name: String, sequence: UInt64, record: WitnessRecord)] = []
            var unreadable = 0
            for half in 0..<2 {
                let at = headerSize + (place * 2 + half) * WitnessRecord.size
                let part = Array(octets[at..<(at + WitnessRecord.size)])
                if part.allSatisfy({ $0 == 0 }) { continue }
                do { versions.append(try WitnessRecord.decode(part)) } catch { unreadable += 1 }
            }
            guard let newest = versions.max(by: { $0.sequence < $1.sequence }) else {
                if unreadable == 2 {
                    throw WitnessStoreError(
                        "\(path): both versions of record \(place) are damaged, so a pair's mastership is "
                            + "unknown; move the file away to begin with an empty one")
                }
                continue
            }
            guard let pair = position[newest.name], places[pair] < 0 else { continue }
            places[pair] = place
            sequences[pair] = newest.sequence
            records[pair] = newest.record
            isDamaged[pair] = unreadable > 0
        }
        // Pairs that are new get places behind all others.
        var next = count
        for pair in names.indices where places[pair] < 0 {
            places[pair] = next
            next += 1
        }
        let size = headerSize + next * 2 * WitnessRecord.size
        if size > octets.count {
            guard ftruncate(fd, off_t(size)) == 0, fsync(fd) == 0 else { throw WitnessStoreError(path, "ftruncate") }
        }
        let store = WitnessStore(path: path, fd: fd, names: names, places: places, sequences: sequences)
        return (store, records, isDamaged)
    }

    /// Writes these pairs' records and returns when they are on the disk.
    func write(_ changes: [(pair: Int, record: WitnessRecord)]) throws {
        for (pair, record) in changes {
            let sequence = sequences[pair] + 1
            let octets = record.encoded(name: names[pair], sequence: sequence)
            let at = Self.headerSize + (places[pair] * 2 + Int(sequence & 1)) * WitnessRecord.size
            guard pwrite(fd, octets, octets.count, off_t(at)) == octets.count else { throw WitnessStoreError(path, "write") }
            sequences[pair] = sequence
        }
        guard fdatasync(fd) == 0 else { throw WitnessStoreError(path, "fdatasync") }
    }
}
