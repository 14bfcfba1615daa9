import Foundation
import Glibc
import Identity
import Records

/// Looks after the files of keys and certificates while the process runs: what changed is read again and serves whoever
/// connects next, and the end of a certificate is told a month, a week and a day before.
actor KeyKeeper {
    struct Files: Sendable, Equatable {
        var paths: [String] = []
        /// Those of them that are certificates, our own and authorities'.
        var certificates: [String] = []
    }
    /// What is made of some files.
    struct Renewal: Sendable {
        /// For people: `redundancy channel`.
        var name: String
        /// Where the files are named.
        var place: String?
        var files: Files
        /// Reads where they are named now, makes it anew and puts it in force; throws while the files cannot be used.
        var renew: @Sendable () throws -> Files
    }

    static let interval = Duration.seconds(30)
    /// The end of a certificate that is over is told again so often, in seconds.
    private static let reminder: TimeInterval = 86_400

    private var renewals: [Renewal]
    private let note: @Sendable (Event) -> Void
    private var stamps: [[Stamp?]]
    private var told: [String: (term: CertificateFile.Term, at: Date)] = [:]

    init(_ renewals: [Renewal], note: @escaping @Sendable (Event) -> Void) {
        self.renewals = renewals
        self.note = note
        stamps = renewals.map(Self.stamps)
    }

    private static func paths(_ renewal: Renewal) -> [String] { renewal.files.paths + (renewal.place.map { [$0] } ?? []) }
    private static func stamps(_ renewal: Renewal) -> [Stamp?] { paths(renewal).map(Stamp.init(path:)) }

    /// Until its task is cancelled.
    func run() async {
        while !Task.isCancelled {
            look(at: Date())
            try? await Task.sleep(for: Self.interval)
        }
    }

    func look(at now: Date) {
        for (number, renewal) in renewals.enumerated() {
            let found = Self.stamps(renewal)
            guard found != stamps[number] else { continue }
            let changed = zip(Self.paths(renewal), zip(found, stamps[number])).filter { $1.0 != $1.1 }.map(\.0)
            stamps[number] = found
            // A certificate that was replaced is told of anew if it ends soon, too.
            for path in changed { told[path] = nil }
            do {
                let files = try renewal.renew()
                if files != renewal.files {
                    renewals[number].files = files
                    stamps[number] = Self.stamps(renewals[number])
                } else if changed == [renewal.place] {
                    // Something else changed there, which counts from the next start.
                    continue
                }
                note(
                    Event(
                        .notice, "keys",
                        "\(renewal.name): \(changed.joined(separator: ", ")) changed and is in use for new connections"))
            } catch {
                note(Event(.alarm, "keys", "\(renewal.name): what was read before stays in use: \(error)"))
            }
        }
        for path in renewals.flatMap(\.files.certificates) {
            guard let (term, text) = CertificateFile.warning(path, at: now) else { continue }
            if let (before, at) = told[path], term == before, term != .over || now.timeIntervalSince(at) < Self.reminder {
                continue
            }
            told[path] = (term, now)
            note(Event(.alarm, "keys", text))
        }
    }

    /// What tells one content of a file from another.
    private struct Stamp: Equatable {
        var inode: UInt64
        var size: Int64
        var seconds: Int
        var nanoseconds: Int

        init?(path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }
}
