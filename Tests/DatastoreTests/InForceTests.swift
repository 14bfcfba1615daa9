import Foundation
import GRDB
import Records
import Testing

@testable import Datastore

/// With which configuration a controller begins, and when it must not begin with any.
@Suite struct InForceTests {
    private func configuration(_ number: UInt64, _ epoch: UInt64, _ index: UInt64) -> ConfigurationRevision {
        var revision = revision(number)
        revision.epoch = epoch
        revision.index = index
        return revision
    }

    @Test func `what was in force last counts, not the greatest number`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        #expect(await store.store(.configuration(configuration(30, 4, 900))) == .stored)
        #expect(await store.store(.configuration(configuration(12, 5, 2))) == .stored)
        #expect(await store.configuration()?.number == 12)
        // Late, or said again.
        #expect(await store.store(.configuration(configuration(31, 4, 950))) == .stored)
        #expect(await store.configuration()?.number == 12)
        await store.close()
        let again = await bench.open()
        #expect(await again.beginning() == .inForce(configuration(12, 5, 2)))
        #expect(await again.history(limit: 5).map(\.number) == [31, 30, 12])
    }

    @Test func `a configuration that comes into force again counts by its new position`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        _ = await store.store(.configuration(configuration(1, 1, 2)))
        _ = await store.store(.configuration(configuration(2, 1, 9)))
        var again = configuration(1, 3, 2)
        again.author = ""
        again.text = "from the log"
        _ = await store.store(.configuration(again))
        #expect(await store.configuration() == configuration(1, 3, 2), "the text is its author's, the position is new")
        await store.close()
        let second = await bench.open()
        #expect(await second.configuration() == configuration(1, 3, 2))
        #expect(await second.history(limit: 9).count == 2)
    }

    @Test func `who follows another has that one's configuration in force, even if its own was later`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        _ = await store.store(.configuration(configuration(9, 5, 50)))
        _ = await store.store(.configurationInForce(configuration(3, 5, 2)))
        _ = await store.store(.pastConfiguration(configuration(9, 5, 50)))
        #expect(await store.configuration()?.number == 3)
        await store.close()
        let again = await bench.open()
        #expect(await again.configuration()?.number == 3)
        // Nothing is lost, and it goes on from there.
        #expect(await again.configuration(9) == configuration(9, 5, 50))
        _ = await again.store(.configuration(configuration(10, 5, 7)))
        #expect(await again.configuration()?.number == 10)
    }

    @Test func `two configurations with one number are both kept`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        var other = configuration(8, 6, 3)
        other.octets = [9, 9]
        _ = await store.store(.configuration(configuration(8, 5, 3)))
        _ = await store.store(.configuration(other))
        #expect(await store.configuration(8) == other)
        #expect(await store.history(limit: 9).map(\.number) == [8, 8])
    }

    @Test func `a twin that joins is told first what is in force`() async throws {
        let bench = try Bench()
        let store = await bench.open()
        _ = await store.store(.configuration(configuration(2, 1, 2)))
        _ = await store.store(.mastership(MastershipEntry(epoch: 1, controller: .a, time: at(1))))
        _ = await store.store(.configurationInForce(configuration(1, 1, 1)))
        let told = await store.everything()
        #expect(told.first == .configurationInForce(configuration(1, 1, 1)))
        #expect(told.contains(.pastConfiguration(configuration(2, 1, 2))))
        // Cut off anywhere, it begins with nothing else.
        let twin = try Bench()
        let other = await twin.open(controller: .b)
        for transaction in told {
            _ = await other.apply(try transaction.encoded())
            #expect(await other.beginning() == .inForce(configuration(1, 1, 1)))
        }
    }

    @Test func `the history that is pruned keeps what is in force`() async throws {
        let bench = try Bench()
        var limits = Bench.limits
        limits.revisions = 3
        let store = await bench.open(limits)
        _ = await store.store(.configuration(configuration(1, 9, 9)))
        for number in 10...20 as ClosedRange<UInt64> {
            _ = await store.store(.pastConfiguration(configuration(number, 1, number)))
        }
        #expect(await store.history(limit: 99).map(\.number) == [20, 19, 18, 1])
        #expect(await store.configuration()?.number == 1)
    }

    // MARK: nothing to begin with

    @Test func `only a file that never held anything is a first start`() async throws {
        let bench = try Bench()
        let first = await bench.open()
        #expect(await first.beginning() == .never)
        first.log(Event(.info, "x", "started"), at: at(1))
        await first.close()
        let second = await bench.open()
        #expect(await second.beginning() == .never, "events alone are none")
        _ = await second.store(.mastership(MastershipEntry(epoch: 3, controller: .b, time: at(1))))
        guard case .lost(let why) = await second.beginning() else {
            Issue.record("somebody was the router")
            return
        }
        #expect(why.contains("epoch 3"))
    }

    @Test func `a damaged file held something, at this start and at later ones`() async throws {
        for damage in ["garbage", "empty", "log only"] {
            let bench = try Bench()
            let first = await bench.open()
            _ = await first.store(.configuration(configuration(5, 2, 2)))
            if damage == "log only" {
                try FileManager.default.copyItem(atPath: bench.path + "-wal", toPath: bench.directory + "/wal")
            }
            await first.close()
            switch damage {
            case "garbage": try Data(repeating: 0x5a, count: 10_000).write(to: URL(fileURLWithPath: bench.path))
            case "empty": try Data().write(to: URL(fileURLWithPath: bench.path))
            default:
                try FileManager.default.removeItem(atPath: bench.path)
                try FileManager.default.moveItem(atPath: bench.directory + "/wal", toPath: bench.path + "-wal")
            }
            for _ in 0..<2 {
                let store = await bench.open()
                guard case .lost(let why) = await store.beginning() else {
                    Issue.record("\(damage)")
                    return
                }
                #expect(why.contains("damaged-1"), "\(damage)")
                await store.close()
            }
            #expect(bench.alarms == 1)
            // Until it has one again.
            let store = await bench.open()
            _ = await store.store(.configurationInForce(configuration(6, 3, 2)))
            #expect(await store.beginning() == .inForce(configuration(6, 3, 2)))
        }
    }

    @Test func `a file of a later release, or one that cannot be opened, held something`() async throws {
        let bench = try Bench()
        let other = try DatabaseQueue(path: bench.path)
        try await other.write { try $0.execute(sql: "CREATE TABLE future (a); PRAGMA user_version = 99") }
        try other.close()
        guard case .lost(let later) = await (await bench.open()).beginning() else {
            Issue.record("it is of a later release")
            return
        }
        #expect(later.contains("later release"))
        guard case .lost = await (await bench.open(path: bench.directory + "/missing/store.sqlite")).beginning() else {
            Issue.record("it cannot be opened")
            return
        }
    }

    @Test func `what came into force while a file could not be read is in force when it can be`() async throws {
        let bench = try Bench()
        let path = bench.directory + "/later/store.sqlite"
        let store = await bench.open(path: path)
        _ = await store.store(.configurationInForce(configuration(2, 1, 2)))
        // The disk that holds an older one in a later epoch appears.
        try FileManager.default.createDirectory(atPath: bench.directory + "/later", withIntermediateDirectories: true)
        let file = try DatastoreFile(path: path, limits: Bench.limits)
        try file.write(.configuration(configuration(9, 7, 3)))
        file.close()
        await store.retry()
        #expect(await store.status.failure == nil)
        await store.close()
        let again = await bench.open(path: path)
        #expect(await again.configuration()?.number == 2)
        #expect(await again.configuration(9) != nil)
    }

    @Test func `when the disk is away for long the newest configuration is the last thing to be given up`() async throws {
        let bench = try Bench()
        var limits = Bench.limits
        limits.waitingTransactions = 4
        let store = await bench.open(limits, path: bench.directory + "/missing/store.sqlite")
        _ = await store.store(.configuration(configuration(7, 1, 2)))
        for epoch in 1...20 as ClosedRange<UInt64> {
            _ = await store.store(.mastership(MastershipEntry(epoch: epoch, controller: .a, time: at(1))))
        }
        try FileManager.default.createDirectory(atPath: bench.directory + "/missing", withIntermediateDirectories: true)
        await store.retry()
        await store.close()
        #expect(await (await bench.open(path: bench.directory + "/missing/store.sqlite")).configuration()?.number == 7)
    }

    @Test func `a file of the release before begins with what that one would have begun with`() async throws {
        let bench = try Bench()
        let old = try DatabaseQueue(path: bench.path)
        try await old.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE configuration (
                        number INTEGER PRIMARY KEY, time INTEGER NOT NULL, author TEXT NOT NULL, comment TEXT NOT NULL,
                        text TEXT NOT NULL, octets BLOB NOT NULL);
                    CREATE TABLE mastership (epoch INTEGER PRIMARY KEY, controller INTEGER NOT NULL, time INTEGER NOT NULL);
                    CREATE TABLE switchover (
                        started INTEGER NOT NULL, epoch INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (started, epoch));
                    CREATE TABLE event (
                        controller INTEGER NOT NULL, number INTEGER NOT NULL, time INTEGER NOT NULL, severity INTEGER NOT NULL,
                        component TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (controller, number)) WITHOUT ROWID;
                    INSERT INTO configuration VALUES (1, 10, 'ada', 'first', 'a', x'01'), (2, 20, 'bob', 'second', 'b', x'02');
                    INSERT INTO mastership VALUES (6, 0, 1);
                    PRAGMA user_version = 1;
                    """)
        }
        try old.close()
        let store = await bench.open()
        let expected = ConfigurationRevision(
            number: 2, epoch: 6, index: 0, time: at(20), author: "bob", comment: "second", text: "b", octets: [2])
        #expect(await store.beginning() == .inForce(expected))
        #expect(await store.history(limit: 5).map(\.number) == [2, 1])
        #expect(bench.events == [])
    }
}
