import Foundation
import GRDB
import Machine
import Records
import Synchronization
import Testing

@testable import Datastore

/// A directory of its own for each test, and what the datastore said.
final class Bench: Sendable {
    let directory: String
    private let said = Mutex<[Event]>([])

    init() throws {
        directory =
            FileManager.default.temporaryDirectory.appendingPathComponent(
                "lockstep-datastore-\(UUID().uuidString)"
            ).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: directory) }

    var path: String { directory + "/store.sqlite" }
    var events: [Event] { said.withLock { $0 } }
    var alarms: Int { events.filter { $0.severity == .alarm }.count }

    static var limits: DatastoreLimits {
        var limits = DatastoreLimits()
        limits.retryMinimum = nil
        return limits
    }
    func open(
        _ limits: DatastoreLimits = Bench.limits, controller: ControllerID = .a, path: String? = nil
    ) async -> Datastore {
        await Datastore.open(path: path ?? self.path, controller: controller, limits: limits) { event in
            self.said.withLock { $0.append(event) }
        }
    }
    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: directory + "/" + name) }
}

func revision(_ number: UInt64, size: Int = 10) -> ConfigurationRevision {
    ConfigurationRevision(
        number: number, time: WallTime(microseconds: Int64(number) * 1000), author: "ada", comment: "c\(number)",
        text: String(repeating: "t", count: size), octets: [1, 2, 3, UInt8(truncatingIfNeeded: number)])
}
func at(_ time: Int64) -> WallTime { WallTime(microseconds: time) }
let switchover = SwitchoverEntry(
    started: at(5), isGraceful: true, reason: "test", from: .a, to: .b, epoch: 3, durationMicroseconds: 900,
    steps: [.init(name: "announce", elapsedMicroseconds: 0), .init(name: "take-over", elapsedMicroseconds: 800, detail: "x")])

@Suite struct DatastoreTests {
    @Test func `what was stored is there after a restart`() async throws {
        let bench = try Bench()
        let first = await bench.open()
        #expect(await first.store(.configuration(revision(1))) == .stored)
        #expect(await first.store(.configuration(revision(2))) == .stored)
        #expect(await first.store(.mastership(MastershipEntry(epoch: 4, controller: .b, time: at(7)))) == .stored)
        #expect(await first.store(.mastership(MastershipEntry(epoch: 5, controller: .a, time: at(8)))) == .stored)
        #expect(await first.store(.switchover(switchover)) == .stored)
        first.log(Event(.notice, "bgp", "up"), at: at(9))
        await first.close()

        let second = await bench.open()
        #expect(await second.configuration() == revision(2))
        #expect(await second.configuration(1) == revision(1))
        #expect(await second.configuration(3) == nil)
        #expect(await second.history(limit: 10).map(\.number) == [2, 1])
        #expect(await second.history(limit: 1).map(\.text) == [""])
        #expect(await second.mastership() == MastershipEntry(epoch: 5, controller: .a, time: at(8)))
        #expect(await second.switchovers(limit: 5) == [switchover])
        #expect(await second.events(EventSelection()).map(\.event) == [Event(.notice, "bgp", "up")])
        // Numbers go on.
        #expect(second.log(Event(.info, "bgp", "down"), at: at(10)).number == 2)
        #expect(bench.events == [])
    }

    @Test func `a transaction is written whole or not at all`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        let good = EventEntry(number: 1, time: at(1), controller: .b, event: Event(.info, "x", "1"))
        let bad = EventEntry(number: .max, time: at(2), controller: .b, event: Event(.info, "x", "2"))
        guard case .refused(let failure) = await store.store(.events([good, bad])) else {
            Issue.record("the number does not fit the file and must be refused")
            return
        }
        #expect(failure.kind == .notUnderstood)
        #expect(await store.events(EventSelection()) == [])
    }

    @Test func `the twin applies the same transactions, even twice`() async throws {
        let (here, there) = (try Bench(), try Bench())
        let active = await here.open(), standby = await there.open(controller: .b)
        for number in 1...3 as ClosedRange<UInt64> { _ = await active.store(.configuration(revision(number))) }
        _ = await active.store(.mastership(MastershipEntry(epoch: 1, controller: .a, time: at(1))))
        _ = await active.store(.switchover(switchover))
        active.log(Event(.info, "x", "seen by a"), at: at(1))
        let events = await active.flush()
        for _ in 0..<2 {
            for transaction in await active.everything() + [.events(events)] {
                #expect(await standby.apply(try transaction.encoded()).refusal == nil)
            }
        }
        #expect(await standby.history(limit: 9) == active.history(limit: 9))
        #expect(await standby.configuration(3) == revision(3))
        #expect(await standby.mastership() == active.mastership())
        #expect(await standby.switchovers(limit: 9) == [switchover])
        #expect(await standby.events(EventSelection(controller: .a)) == events)
        // The twin's own numbers are not disturbed by ours.
        #expect(standby.log(Event(.info, "x", "seen by b"), at: at(2)).number == 1)
    }

    @Test func `octets that are no transaction get a negative acknowledgement`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        let good = try DatastoreTransaction.switchover(switchover).encoded()
        for count in good.indices {
            #expect(await store.apply(Array(good[..<count])).refusal != nil)
        }
        #expect(await store.apply([UInt8](repeating: 0, count: DatastoreTransaction.lengthMaximum + 1)).refusal != nil)
        #expect(await store.status.waitingTransactions == 0)
        #expect(await store.switchovers(limit: 1) == [])
    }

    @Test func `old revisions, epochs, switchovers and events are pruned`() async throws {
        let bench = try Bench()
        var limits = Bench.limits
        limits.revisions = 3
        limits.masterships = 2
        limits.switchovers = 2
        limits.events = 5
        let store = await bench.open(limits)
        for number in 1...9 as ClosedRange<UInt64> {
            _ = await store.store(.configuration(revision(number)))
            _ = await store.store(.mastership(MastershipEntry(epoch: number, controller: .a, time: at(0))))
            var entry = switchover
            entry.started = at(Int64(number))
            _ = await store.store(.switchover(entry))
            store.log(Event(.info, "x", "\(number)"), at: at(Int64(number)))
            await store.flush()
        }
        #expect(await store.history(limit: 100).map(\.number) == [9, 8, 7])
        #expect(await store.mastership()?.epoch == 9)
        #expect(await store.switchovers(limit: 100).map(\.started.microseconds) == [9, 8])
        #expect(await store.events(EventSelection()).map(\.number) == [5, 6, 7, 8, 9])
    }

    @Test func `events are selected by number, severity, component and controller`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        for (i, severity) in Event.Severity.allCases.enumerated() {
            store.log(Event(severity, i % 2 == 0 ? "bgp" : "tcp", "\(i)"), at: at(Int64(i)))
        }
        func select(_ selection: EventSelection) async -> [String] { await store.events(selection).map(\.event.message) }
        // Before and after they reach the disk.
        for _ in 0..<2 {
            #expect(await select(EventSelection()) == ["0", "1", "2", "3", "4"])
            #expect(await select(EventSelection(severity: .warning)) == ["3", "4"])
            #expect(await select(EventSelection(component: "bgp")) == ["0", "2", "4"])
            #expect(await select(EventSelection(after: 3)) == ["3", "4"])
            #expect(await select(EventSelection(limit: 2)) == ["3", "4"])
            #expect(await select(EventSelection(controller: .b)) == [])
            await store.flush()
        }
    }

    @Test func `events that are on disk are offered to the twin, but not the datastore's own`() async throws {
        let bench = try Bench()
        let offered = Mutex<[[String]]>([])
        let store = await Datastore.open(path: bench.path, controller: .a, limits: Bench.limits) { transaction in
            if case .events(let entries) = transaction { offered.withLock { $0.append(entries.map(\.event.message)) } }
        } notify: { _ in
        }
        for (i, event) in [
            Event(.debug, "bgp", "small"), Event(.info, "bgp", "one"), Event(.alarm, "datastore", "own"),
            Event(.alarm, "rcm", "two"),
        ].enumerated() { store.log(event, at: at(Int64(i))) }
        await store.flush()
        #expect(offered.withLock { $0.joined().sorted() } == ["one", "two"])
        for i in 0..<600 { store.log(Event(.info, "x", "\(i)"), at: at(Int64(i))) }
        await store.flush()
        #expect(offered.withLock { $0.allSatisfy { $0.count <= 256 } && $0.joined().count == 602 })
    }

    // MARK: trouble

    @Test func `a damaged file is moved aside with an alarm, and a new one begun`() async throws {
        for damage in ["garbage", "truncated", "zeroed", "foreign"] {
            let bench = try Bench()
            let first = await bench.open()
            for number in 1...40 as ClosedRange<UInt64> { _ = await first.store(.configuration(revision(number, size: 3000))) }
            await first.close()
            let url = URL(fileURLWithPath: bench.path)
            var data = try Data(contentsOf: url)
            switch damage {
            case "garbage": data = Data(repeating: 0x5a, count: 10_000)
            case "truncated": data = data.prefix(data.count / 2)
            case "zeroed": data.replaceSubrange(4096..<40_960, with: Data(repeating: 0, count: 36_864))
            default:
                try FileManager.default.removeItem(at: url)
                let other = try DatabaseQueue(path: bench.path)
                try await other.write { try $0.execute(sql: "CREATE TABLE configuration (a); PRAGMA user_version = 1") }
                try other.close()
                data = try Data(contentsOf: url)
            }
            try data.write(to: url)

            let second = await bench.open()
            #expect(bench.alarms == 1, "\(damage)")
            #expect(bench.exists("store.sqlite.damaged-1"), "\(damage)")
            #expect(await second.configuration() == nil, "\(damage)")
            #expect(await second.status.failure == nil)
            #expect(await second.store(.configuration(revision(1))) == .stored)
            #expect(await second.configuration() == revision(1))
        }
    }

    @Test func `every damaged octet of the header leads to a store that works`() async throws {
        let bench = try Bench()
        let first = await bench.open()
        _ = await first.store(.configuration(revision(1)))
        await first.close()
        let good = try Data(contentsOf: URL(fileURLWithPath: bench.path))
        for place in stride(from: 0, to: 100, by: 3) {
            var damaged = good
            damaged[place] ^= 0xff
            let path = bench.directory + "/\(place).sqlite"
            try damaged.write(to: URL(fileURLWithPath: path))
            let store = await bench.open(path: path)
            // Some octets do not matter, some make the file damaged, some make it that of a later release: that one is
            // left alone, and the router goes on from memory.
            let outcome = await store.store(.configuration(revision(2)))
            if case .refused = outcome { Issue.record("octet \(place)") }
            #expect(await store.configuration() == revision(2), "octet \(place)")
            await store.close()
        }
    }

    @Test func `a file of a later release is left alone`() async throws {
        let bench = try Bench()
        let other = try DatabaseQueue(path: bench.path)
        try await other.write { try $0.execute(sql: "CREATE TABLE future (a); PRAGMA user_version = 99") }
        try other.close()
        let store = await bench.open()
        #expect(await store.status.failure?.kind == .laterRelease)
        #expect(bench.alarms == 1)
        #expect(!bench.exists("store.sqlite.damaged-1"))
        guard case .deferred = await store.store(.configuration(revision(1))) else {
            Issue.record("there is nowhere to store it")
            return
        }
        #expect(await store.configuration() == revision(1))
    }

    @Test func `without its directory the store goes on from memory and recovers when it is there`() async throws {
        let bench = try Bench()
        let path = bench.directory + "/missing/store.sqlite"
        let store = await bench.open(path: path)
        #expect(await store.status.failure?.kind == .inaccessible)
        guard case .deferred = await store.store(.configuration(revision(7))) else {
            Issue.record("there is nowhere to store it")
            return
        }
        _ = await store.store(.mastership(MastershipEntry(epoch: 3, controller: .b, time: at(1))))
        store.log(Event(.info, "x", "kept"), at: at(1))
        #expect(await store.configuration() == revision(7))
        #expect(await store.history(limit: 5).map(\.number) == [7])
        #expect(await store.mastership()?.epoch == 3)
        #expect(await store.events(EventSelection()).map(\.event.message) == ["kept"])
        #expect(bench.alarms == 1)

        try FileManager.default.createDirectory(atPath: bench.directory + "/missing", withIntermediateDirectories: true)
        await store.retry()
        #expect(await store.status.failure == nil)
        #expect(await store.status.waitingTransactions == 0)
        #expect(await store.status.waitingEvents == 0)
        #expect(bench.events.last?.severity == .notice)
        await store.close()
        let again = await bench.open(path: path)
        #expect(await again.configuration() == revision(7))
        #expect(await again.events(EventSelection()).map(\.event.message) == ["kept"])
    }

    @Test func `a full disk is an alarm, and what was written stays readable`() async throws {
        let bench = try Bench()
        var limits = Bench.limits
        limits.pages = 24
        limits.waitingTransactions = 4
        let store = await bench.open(limits)
        var number: UInt64 = 0
        var outcome = DatastoreOutcome.stored
        while outcome == .stored, number < 100 {
            number += 1
            outcome = await store.store(.configuration(revision(number, size: 8_000)))
        }
        guard case .deferred(let failure) = outcome else {
            Issue.record("100 revisions cannot fit 24 pages")
            return
        }
        #expect(failure.kind == .full)
        #expect(bench.alarms == 1)
        // The newest is readable from memory, the ones before from the file.
        #expect(await store.configuration() == revision(number, size: 8_000))
        #expect(await store.configuration(number - 1) == revision(number - 1, size: 8_000))
        // What waits is bounded and counted.
        for more in 1...10 as ClosedRange<UInt64> { _ = await store.store(.configuration(revision(number + more, size: 8_000))) }
        #expect(await store.status.waitingTransactions == 4)
        #expect(await store.status.droppedTransactions == 7)
        #expect(bench.alarms == 1)
        await store.close()

        // With room again, everything that waited is written.
        let larger = await bench.open()
        #expect(await larger.configuration() == revision(number - 1, size: 8_000))
        #expect(await larger.store(.configuration(revision(number))) == .stored)
    }

    @Test func `events make room for what matters more`() async throws {
        let bench = try Bench()
        var limits = Bench.limits
        limits.pages = 64
        let store = await bench.open(limits)
        for i in 0..<1_500 { store.log(Event(.info, "x", String(repeating: "e", count: 100) + "\(i)"), at: at(Int64(i))) }
        await store.flush()
        let before = await store.events(EventSelection(limit: 10_000)).count
        var stored = 0
        for number in 1...8 as ClosedRange<UInt64> {
            if await store.store(.configuration(revision(number, size: 8_000))) == .stored { stored += 1 }
        }
        #expect(stored == 8)
        #expect(await store.events(EventSelection(limit: 10_000)).count < before)
    }

    @Test func `a file that somebody else holds is tried again later`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        var configuration = GRDB.Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: bench.path, configuration: configuration)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        guard case .deferred(let failure) = await store.store(.configuration(revision(1))) else {
            Issue.record("the file is locked")
            return
        }
        #expect(failure.kind == .inaccessible)
        try await other.writeWithoutTransaction { try $0.execute(sql: "COMMIT") }
        #expect(await store.store(.configuration(revision(2))) == .stored)
        #expect(await store.history(limit: 5).map(\.number) == [2, 1])
        #expect(await store.status.failure == nil)
    }
}

@Suite struct EventBufferTests {
    @Test func `when the buffer is full the oldest of the least important go first`() {
        var buffer = EventBuffer(nextNumber: 1, maximum: 4)
        for (i, severity) in [Event.Severity.alarm, .debug, .info, .debug, .warning, .alarm, .info].enumerated() {
            _ = buffer.append(Event(severity, "x", "\(i)"), time: at(0), controller: .a)
        }
        #expect(buffer.entries.map(\.event.message) == ["0", "4", "5", "6"])
        #expect(buffer.entries.map(\.number) == [1, 5, 6, 7])
        #expect(buffer.dropped == 3)
    }

    @Test func `what could not be written comes back before what came since`() {
        var buffer = EventBuffer(nextNumber: 1, maximum: 2)
        _ = buffer.append(Event(.info, "x", "0"), time: at(0), controller: .a)
        let taken = buffer.take()
        _ = buffer.append(Event(.info, "x", "1"), time: at(0), controller: .a)
        buffer.putBack(taken)
        #expect(buffer.entries.map(\.number) == [1, 2])
    }

    @Test func `a long message is cut`() {
        var buffer = EventBuffer(nextNumber: 1, maximum: 2)
        let entry = buffer.append(
            Event(.info, "x", String(repeating: "ä", count: 5_000)), time: at(0), controller: .a)
        #expect(entry.event.message.count == 1001)
    }
}

@Suite struct GreatestConfigurationTests {
    @Test func `the greatest configuration that is accepted fits into a transaction with its author, and onto the channel`()
        throws
    {
        let text = String(repeating: "é", count: 2 << 20)
        let revision = ConfigurationRevision(
            number: 7, epoch: 3, index: 9, time: WallTime(microseconds: 1), author: String(repeating: "a", count: 256),
            comment: String(repeating: "c", count: 4096), text: text, octets: [UInt8](repeating: 0xa5, count: 8 << 20))
        let octets = try DatastoreTransaction.configuration(revision).encoded()
        #expect(octets.count <= DatastoreTransaction.lengthMaximum)
        guard case .configuration(let read) = try DatastoreTransaction(decoding: octets) else {
            return _ = Issue.record("another")
        }
        #expect(read.author == revision.author && read.comment == revision.comment && read.digest == revision.digest)
        let isWhole = read.text == text
        #expect(isWhole)
    }
}
