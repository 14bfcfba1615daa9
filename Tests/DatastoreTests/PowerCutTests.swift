import CPowerCut
import Foundation
import Machine
import Records
import Testing

@testable import Datastore

/// What a disk was asked to do, and what it may hold when the power goes off after any of these steps.
///
/// What was written before the last sync of a file is there. Of what was written since, a disk may have taken all, nothing,
/// or any part in any order, down to a sector.
private final class Recording {
    struct Step {
        var kind: cpowercut_kind
        var name: String
        var offset: Int
        var octets: [UInt8]
    }
    private(set) var steps: [Step] = []
    /// The files before the first step.
    let before: [String: [UInt8]]

    /// Notes what `body` has done to files whose path begins with `prefix`.
    init(_ prefix: String, _ body: () async throws -> Void) async throws {
        before = try Self.files(prefix)
        try #require(cpowercut_begin(prefix) == 0)
        defer { cpowercut_end() }
        try await body()
        for i in 0..<cpowercut_count() {
            let step = cpowercut_at(i)
            steps.append(
                Step(
                    kind: step.kind, name: unsafe String(cString: cpowercut_path(step.file)), offset: Int(step.offset),
                    octets: unsafe Array(UnsafeBufferPointer(start: step.octets, count: step.length))))
        }
    }

    private static func files(_ prefix: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in ["", "-wal", ".new", ".new-wal"] where FileManager.default.fileExists(atPath: prefix + name) {
            files[name] = [UInt8](try Data(contentsOf: URL(fileURLWithPath: prefix + name)))
        }
        return files
    }

    /// Everything that a disk may hold after each number of steps: three possibilities for each.
    func forEachCut(_ body: (_ steps: Int, _ what: String, _ files: [String: [UInt8]]) async throws -> Void) async throws {
        var durable = before
        var pending: [String: [Step]] = [:]
        var random = RandomNumbers(seed: 7)
        for count in 0...steps.count {
            if count > 0 {
                let step = steps[count - 1]
                if step.kind == CPOWERCUT_SYNC {
                    for one in pending.removeValue(forKey: step.name) ?? [] { Self.perform(one, on: &durable) }
                } else {
                    pending[step.name, default: []].append(step)
                }
            }
            for what in ["nothing since the sync", "everything", "a part"] {
                var files = durable
                if what != "nothing since the sync" {
                    for name in pending.keys.sorted() {
                        for step in pending[name]! {
                            if what == "everything" {
                                Self.perform(step, on: &files)
                            } else if random.chance(1, in: 2) {
                                Self.perform(step, on: &files, sectors: random.number(in: 0...8))
                            }
                        }
                    }
                }
                try await body(count, what, files)
            }
        }
    }

    private static func perform(_ step: Step, on files: inout [String: [UInt8]], sectors: Int? = nil) {
        switch step.kind {
        case CPOWERCUT_WRITE:
            let octets = step.octets.prefix(sectors.map { $0 * 512 } ?? .max)
            var file = files[step.name] ?? []
            let end = step.offset + octets.count
            if file.count < end { file.append(contentsOf: repeatElement(0, count: end - file.count)) }
            file.replaceSubrange(step.offset..<end, with: octets)
            files[step.name] = file
        case CPOWERCUT_TRUNCATE:
            if let file = files[step.name], file.count > step.offset { files[step.name] = Array(file.prefix(step.offset)) }
        case CPOWERCUT_DELETE: files[step.name] = nil
        default: break
        }
    }
}

/// DESIGN §13: what is acknowledged comes back after any power cut. One after another, for there is one recorder.
@Suite(.serialized) struct PowerCutTests {
    private static func configuration(_ number: UInt64, _ epoch: UInt64, _ index: UInt64) -> ConfigurationRevision {
        var revision = revision(number, size: 900)
        revision.epoch = epoch
        revision.index = index
        return revision
    }

    private static func put(_ files: [String: [UInt8]], at path: String) throws {
        for name in ["", "-wal", "-shm", ".new", ".new-wal", ".new-shm"] {
            try? FileManager.default.removeItem(atPath: path + name)
        }
        for (name, octets) in files { try Data(octets).write(to: URL(fileURLWithPath: path + name)) }
    }

    @Test func `after a power cut at any write all that was acknowledged is there, and nothing older is in force`() async throws {
        let bench = try Bench()
        var limits = Bench.limits
        // Often, so that the sequence has several in it.
        limits.checkpointPages = 12
        await bench.open(limits).close()

        var transactions: [DatastoreTransaction] = []
        for i in 1...10 as ClosedRange<UInt64> {
            transactions.append(.configuration(Self.configuration(i, 4, i * 10)))
            if i % 3 == 0 { transactions.append(.mastership(MastershipEntry(epoch: 4 + i, controller: .a, time: at(1)))) }
            // What a twin sends of its history, greater numbers among it, and what comes late.
            if i % 4 == 0 { transactions.append(.pastConfiguration(Self.configuration(i + 50, 3, i))) }
            if i % 5 == 0 { transactions.append(.configuration(Self.configuration(i + 70, 4, i))) }
        }
        // It follows another, which has an older one in force, and goes on with that.
        transactions.append(.configurationInForce(Self.configuration(40, 2, 2)))
        transactions.append(.configuration(Self.configuration(90, 2, 9)))
        // By the steps of the disk when it was acknowledged: what is in force then, and how many were stored.
        var acknowledged: [(steps: Int, inForce: ConfigurationRevision?, count: Int)] = [(0, nil, 0)]

        let recording = try await Recording(bench.path) {
            let store = await bench.open(limits)
            for (i, transaction) in transactions.enumerated() {
                #expect(await store.store(transaction) == .stored)
                acknowledged.append((Int(cpowercut_count()), await store.configuration(), i + 1))
            }
            await store.close()
        }
        #expect(acknowledged.last!.inForce?.number == 90)
        #expect(recording.steps.count { $0.name == "" && $0.kind == CPOWERCUT_WRITE } > 20, "the log was copied into the file")

        let other = try Bench()
        var last = 0
        try await recording.forEachCut { steps, what, files in
            while last + 1 < acknowledged.count, acknowledged[last + 1].steps <= steps { last += 1 }
            try Self.put(files, at: other.path)
            let file = try DatastoreFile(path: other.path, limits: limits)
            defer { file.close() }
            let inForce = try file.inForce()
            let said = acknowledged[last].inForce
            let next = last + 1 < acknowledged.count ? acknowledged[last + 1].inForce : said
            #expect(inForce == said || inForce == next, "step \(steps), \(what)")
            let numbers = Set(try file.revisions(withContents: false, limit: 200).map(\.number))
            let epochs = Set(try file.masterships(limit: 200).map(\.epoch))
            for transaction in transactions.prefix(acknowledged[last].count) {
                if let revision = transaction.revision { #expect(numbers.contains(revision.number), "step \(steps), \(what)") }
                if case .mastership(let entry) = transaction { #expect(epochs.contains(entry.epoch), "step \(steps), \(what)") }
            }
        }
        #expect(last == transactions.count)
    }

    @Test func `a power cut while the file is made leaves one that never held anything`() async throws {
        let bench = try Bench()
        let recording = try await Recording(bench.path) { await bench.open().close() }
        let other = try Bench()
        try await recording.forEachCut { steps, what, files in
            // Before the new file was renamed: its name has no step of its own.
            var files = files
            files[""] = nil
            files["-wal"] = nil
            try Self.put(files, at: other.path)
            let store = await other.open()
            #expect(await store.beginning() == .never, "step \(steps), \(what)")
            await store.close()
        }
        #expect(other.events == [])
    }

    @Test func `a disk that is full at any write keeps what was acknowledged, and what was not is said to be in memory only`()
        async throws
    {
        for writes in 0... {
            let bench = try Bench()
            try #require(cpowercut_begin(bench.path) == 0)
            defer { cpowercut_end() }
            let store = await bench.open()
            #expect(await store.store(.configuration(Self.configuration(1, 1, 1))) == .stored)
            cpowercut_fill_after(writes)
            let outcome = await store.store(.configuration(Self.configuration(2, 1, 5)))
            cpowercut_fill_after(-1)
            // The power goes off while the process still has the file open.
            for suffix in ["", "-wal"] where bench.exists("store.sqlite" + suffix) {
                try FileManager.default.copyItem(atPath: bench.path + suffix, toPath: bench.directory + "/copy" + suffix)
            }
            let copy = try DatastoreFile(path: bench.directory + "/copy", limits: Bench.limits)
            let inForce = try copy.inForce()
            copy.close()
            #expect(await store.configuration()?.number == 2)
            guard outcome != .stored else {
                #expect(inForce?.number == 2)
                #expect(writes > 0)
                return
            }
            guard case .deferred(let failure) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(failure.kind == .full)
            // A commit whose last octets found no room was not acknowledged; a disk may hold it all the same.
            #expect(inForce?.number == 1 || writes > 0 && inForce?.number == 2, "after \(writes) writes")
            // With room again it is written by itself.
            await store.retry()
            #expect(await store.status.failure == nil)
            await store.close()
            let again = await bench.open()
            #expect(await again.configuration()?.number == 2)
            await again.close()
            try #require(writes < 200)
        }
    }
}
