import Foundation
import Identity
import Records
import Synchronization
import Testing

@testable import Host

/// Keys and certificates change under a running controller, and end.
@Suite struct KeyKeeperTests {
    private let folder = TemporaryFile()
    private final class Notes: Sendable {
        private let list = Mutex<[Event]>([])
        func add(_ event: Event) { list.withLock { $0.append(event) } }
        func take() -> [Event] {
            list.withLock { list in
                defer { list = [] }
                return list
            }
        }
    }

    private func write(_ path: String, _ text: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        chmod(path, 0o600)
    }

    @Test func `A key that changed serves new connections, and one that cannot be used leaves the old one in force`() async throws
    {
        let path = folder.path
        try write(path, "the first secret of the pair")
        let secret = Renewable(try ConfigurationFiles.sharedKey(path))
        let notes = Notes()
        let keeper = KeyKeeper([
            .init(name: "redundancy channel", files: .init(paths: [path])) {
                secret.renew(try ConfigurationFiles.sharedKey(path))
                return .init(paths: [path])
            }
        ]) { notes.add($0) }
        await keeper.look(at: Date())
        #expect(notes.take().isEmpty)

        try write(path, "the second secret of the pair")
        await keeper.look(at: Date())
        #expect(secret.value == Array("the second secret of the pair".utf8))
        #expect(notes.take().map(\.message) == ["redundancy channel: \(path) changed and is in use for new connections"])

        for broken in ["short", nil] {
            if let broken { try write(path, broken) } else { unlink(path) }
            await keeper.look(at: Date())
            let events = notes.take()
            #expect(events.count == 1 && events.first?.severity == .alarm)
            #expect(events.first?.message.contains("what was read before stays in use: \(path)") ?? false)
            await keeper.look(at: Date())
            #expect(notes.take().isEmpty, "said once")
        }
        #expect(secret.value == Array("the second secret of the pair".utf8))
        try write(path, "the third secret of the pair")
        await keeper.look(at: Date())
        #expect(secret.value == Array("the third secret of the pair".utf8))
        #expect(notes.take().map(\.severity) == [.notice])
    }

    @Test func `A file that is named anew is looked after, and other changes of the place say nothing`() async throws {
        let (place, one, two) = (folder.path, folder.path + ".1", folder.path + ".2")
        defer { for path in [one, two] { unlink(path) } }
        try write(one, "1")
        try write(two, "2")
        try write(place, one)
        let value = Renewable("1"), notes = Notes()
        let keeper = KeyKeeper([
            .init(name: "key", place: place, files: .init(paths: [one])) {
                let path = try String(contentsOfFile: place, encoding: .utf8).split(separator: "#")[0]
                value.renew(try String(contentsOfFile: String(path), encoding: .utf8))
                return .init(paths: [String(path)])
            }
        ]) { notes.add($0) }
        try write(place, one + "#a comment")
        await keeper.look(at: Date())
        #expect(notes.take().isEmpty)
        try write(place, two)
        await keeper.look(at: Date())
        #expect(value.value == "2" && notes.take().count == 1)
        try write(two, "2b")
        await keeper.look(at: Date())
        #expect(value.value == "2b" && notes.take().count == 1)
    }

    @Test func `The end of a certificate is told a month, a week and a day before, and then every day`() async throws {
        let authority = try TestAuthority(folder: folder.path + ".d")
        defer { try? FileManager.default.removeItem(atPath: folder.path + ".d") }
        let start = Date(), day: TimeInterval = 86_400
        let end = start.addingTimeInterval(100 * day)
        let (certificate, _) = try authority.issue("r1", validity: start.addingTimeInterval(-day)...end)
        let notes = Notes()
        let keeper = KeyKeeper([
            .init(name: "etcd", files: .init(paths: [certificate], certificates: [certificate])) {
                .init(paths: [certificate], certificates: [certificate])
            }
        ]) { notes.add($0) }
        var told: [Int] = []
        for hour in 0..<(104 * 24) {
            await keeper.look(at: start.addingTimeInterval(TimeInterval(hour) * 3600 + 60))
            for event in notes.take() {
                #expect(event.severity == .alarm && event.message.contains("CN=r1"))
                #expect(event.message.contains(hour < 2400 ? "ends on" : "ended on"))
                told.append(hour)
            }
        }
        #expect(told == [70 * 24, 93 * 24, 99 * 24, 100 * 24, 101 * 24, 102 * 24, 103 * 24])
    }

    @Test func `A certificate that was replaced is quiet until its own end`() async throws {
        let authority = try TestAuthority(folder: folder.path + ".d")
        defer { try? FileManager.default.removeItem(atPath: folder.path + ".d") }
        let now = Date(), day: TimeInterval = 86_400
        let notes = Notes()
        let (certificate, _) = try authority.issue("r1", validity: now.addingTimeInterval(-day)...now.addingTimeInterval(3 * day))
        let keeper = KeyKeeper([
            .init(name: "etcd", files: .init(paths: [certificate], certificates: [certificate])) {
                .init(paths: [certificate], certificates: [certificate])
            }
        ]) { notes.add($0) }
        await keeper.look(at: now)
        #expect(notes.take().map(\.severity) == [.alarm])
        _ = try authority.issue("r1", validity: now.addingTimeInterval(-day)...now.addingTimeInterval(90 * day))
        await keeper.look(at: now)
        #expect(notes.take().map(\.severity) == [.notice])
        #expect(CertificateFile.Term(until: now, at: now) == .over)
        #expect(try CertificateFile.end(of: certificate)?.subject == "CN=r1")
        #expect(throws: (any Error).self) { try CertificateFile.end(of: "/nowhere") }
        #expect(CertificateFile.warning("/nowhere", at: now) == nil)
    }
}
