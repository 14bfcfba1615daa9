import Foundation
import GRDB
import Glibc
import Records

/// The SQLite file. It has one owner, which calls it from one thread at a time.
struct DatastoreFile {
    /// Version of the tables, in `PRAGMA user_version`.
    static let version = 2

    let database: DatabaseQueue
    let limits: DatastoreLimits

    /// Opens or creates the file, checks it and brings its tables up to date.
    ///
    /// A new file is made under another name and renamed when it is whole: a file that is there and has no tables is
    /// therefore not one that a power cut left half made, but one that has lost what it held.
    init(path: String, limits: DatastoreLimits) throws(DatastoreFailure) {
        self.limits = limits
        do {
            try Self.make(at: path, limits)
            database = try Self.open(path, limits)
            try database.writeWithoutTransaction { db in
                let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                guard found <= Self.version else {
                    throw DatastoreFailure(.laterRelease, "it is of a later release (version \(found), not \(Self.version))")
                }
                let check = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? ""
                guard check == "ok" else { throw DatastoreFailure(.damaged, check) }
                guard found > 0 else { throw DatastoreFailure(.damaged, "it is empty") }
                if found < 2 { try Self.update1(db) }
                // A file that passes the check can still lack our tables, or hold others of the same names.
                for statement in Self.reads { _ = try db.makeStatement(sql: statement) }
            }
        } catch {
            throw Self.failure(error)
        }
    }

    private static func open(_ path: String, _ limits: DatastoreLimits) throws -> DatabaseQueue {
        var configuration = GRDB.Configuration()
        configuration.label = "datastore"
        configuration.prepareDatabase { db in
            // Nobody else should have the file; if somebody looks into it, wait a little.
            try db.execute(sql: "PRAGMA busy_timeout = 1000")
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            // A commit returns when the disk has it: what is acknowledged survives a power cut, and an epoch that were
            // forgotten would be used twice.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA wal_autocheckpoint = \(limits.checkpointPages)")
            try db.execute(sql: "PRAGMA max_page_count = \(limits.pages)")
        }
        // Made by an earlier release for everybody to read.
        for suffix in ["", "-wal", "-shm"] { chmod(path + suffix, 0o600) }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Makes the file if it is not there.
    private static func make(at path: String, _ limits: DatastoreLimits) throws {
        let manager = FileManager.default
        guard !manager.fileExists(atPath: path) else { return }
        if manager.fileExists(atPath: path + "-wal") {
            throw DatastoreFailure(.damaged, "the file is gone and its write-ahead log is there")
        }
        let new = path + ".new"
        for suffix in ["", "-wal", "-shm"] { try? manager.removeItem(atPath: new + suffix) }
        // It holds keys. SQLite gives its other files the rights of this one.
        let empty = Glibc.open(new, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard empty >= 0 else {
            throw DatastoreFailure(.inaccessible, "\(new) cannot be made: \(String(cString: strerror(errno)))")
        }
        Glibc.close(empty)
        let database = try open(new, limits)
        try database.writeWithoutTransaction { db in try create(db) }
        // The last one to close writes everything into the file itself and removes the log.
        try database.close()
        guard rename(new, path) == 0 else {
            throw DatastoreFailure(.inaccessible, "\(new) cannot be renamed to \(path): \(String(cString: strerror(errno)))")
        }
        let directory = (path as NSString).deletingLastPathComponent
        let fd = Glibc.open(directory.isEmpty ? "." : directory, O_RDONLY | O_DIRECTORY)
        guard fd >= 0 else { return }
        fsync(fd)
        Glibc.close(fd)
    }

    private static let reads = [
        "SELECT id, number, epoch, log_index, time, author, comment, text, octets FROM configuration",
        "SELECT one, configuration FROM in_force",
        "SELECT epoch, controller, time FROM mastership",
        "SELECT started, epoch, entry FROM switchover",
        "SELECT controller, number, time, severity, component, message FROM event",
    ]

    /// A number may stand twice: each of two controllers that went on alone may have given it.
    private static let configurationTables = """
        CREATE TABLE configuration (
            id INTEGER PRIMARY KEY, number INTEGER NOT NULL, epoch INTEGER NOT NULL, log_index INTEGER NOT NULL,
            time INTEGER NOT NULL, author TEXT NOT NULL, comment TEXT NOT NULL, text TEXT NOT NULL, octets BLOB NOT NULL);
        CREATE INDEX configuration_number ON configuration (number);
        CREATE TABLE in_force (one INTEGER PRIMARY KEY CHECK (one = 1), configuration INTEGER NOT NULL);
        """

    private static func create(_ db: Database) throws {
        try db.inTransaction {
            try db.execute(
                sql: """
                    \(configurationTables)
                    CREATE TABLE mastership (epoch INTEGER PRIMARY KEY, controller INTEGER NOT NULL, time INTEGER NOT NULL);
                    CREATE TABLE switchover (
                        started INTEGER NOT NULL, epoch INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (started, epoch));
                    CREATE TABLE event (
                        controller INTEGER NOT NULL, number INTEGER NOT NULL, time INTEGER NOT NULL, severity INTEGER NOT NULL,
                        component TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (controller, number)) WITHOUT ROWID;
                    PRAGMA user_version = 2;
                    """)
            return .commit
        }
    }

    /// Version 1 began with the greatest number, and did not know when anything was in force.
    private static func update1(_ db: Database) throws {
        try db.inTransaction {
            try db.execute(
                sql: """
                    ALTER TABLE configuration RENAME TO configuration_1;
                    \(configurationTables)
                    INSERT INTO configuration (number, epoch, log_index, time, author, comment, text, octets)
                        SELECT number, 0, 0, time, author, comment, text, octets FROM configuration_1 ORDER BY number;
                    DROP TABLE configuration_1;
                    UPDATE configuration SET epoch = (SELECT IFNULL(MAX(epoch), 0) FROM mastership)
                        WHERE number = (SELECT MAX(number) FROM configuration);
                    INSERT INTO in_force SELECT 1, id FROM configuration ORDER BY number DESC LIMIT 1;
                    PRAGMA user_version = 2;
                    """)
            return .commit
        }
    }

    func close() { try? database.close() }

    static func failure(_ error: any Error) -> DatastoreFailure {
        if let failure = error as? DatastoreFailure { return failure }
        guard let error = error as? DatabaseError else { return DatastoreFailure(.other, "\(error)") }
        let reason = error.message ?? error.resultCode.description
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: return DatastoreFailure(.damaged, reason)
        case .SQLITE_FULL: return DatastoreFailure(.full, reason)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH, .SQLITE_LOCKED, .SQLITE_BUSY:
            return DatastoreFailure(.inaccessible, reason)
        case .SQLITE_IOERR: return DatastoreFailure(.inaccessible, "\(reason) (I/O error)")
        // A table that is not there or not as it should be: somebody else's file.
        case .SQLITE_ERROR: return DatastoreFailure(.damaged, reason)
        default: return DatastoreFailure(.other, reason)
        }
    }

    // MARK: writing

    /// Writes all of it or nothing. What exceeds a limit is pruned in the same transaction. Writing a thing twice is
    /// writing it once: the twin may be told again what it knows.
    func write(_ transaction: DatastoreTransaction) throws(DatastoreFailure) {
        do {
            try database.write { db in
                switch transaction {
                case .configuration(let revision): try write(revision, .enters, db)
                case .configurationInForce(let revision): try write(revision, .stands, db)
                case .pastConfiguration(let revision): try write(revision, .past, db)
                case .mastership(let entry): try write(entry, db)
                case .switchover(let entry): try write(entry, db)
                case .events(let entries): try write(entries, db)
                }
            }
        } catch {
            throw Self.failure(error)
        }
    }

    private func write(_ entry: MastershipEntry, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO mastership VALUES (?, ?, ?)",
            arguments: [try Self.integer(entry.epoch), Int(entry.controller.rawValue), entry.time.microseconds])
        try db.execute(
            sql: "DELETE FROM mastership WHERE epoch NOT IN (SELECT epoch FROM mastership ORDER BY epoch DESC LIMIT ?)",
            arguments: [limits.masterships])
    }

    private func write(_ entry: SwitchoverEntry, _ db: Database) throws {
        // Its steps are read only together with it, so they need no table of their own.
        let octets = try DatastoreTransaction.switchover(entry).encoded()
        try db.execute(
            sql: "INSERT OR REPLACE INTO switchover VALUES (?, ?, ?)",
            arguments: [entry.started.microseconds, try Self.integer(entry.epoch), Data(octets)])
        try db.execute(
            sql: """
                DELETE FROM switchover WHERE started <
                    (SELECT MIN(started) FROM (SELECT started FROM switchover ORDER BY started DESC LIMIT ?))
                """, arguments: [limits.switchovers])
    }

    private func write(_ entries: [EventEntry], _ db: Database) throws {
        let statement = try db.makeStatement(sql: "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)")
        var newest: [ControllerID: UInt64] = [:]
        for entry in entries {
            try statement.execute(arguments: [
                Int(entry.controller.rawValue), try Self.integer(entry.number), entry.time.microseconds,
                Int(entry.event.severity.rawValue), entry.event.component, entry.event.message,
            ])
            newest[entry.controller] = max(newest[entry.controller] ?? 0, entry.number)
        }
        for controller in ControllerID.allCases {
            guard let newest = newest[controller], newest > UInt64(limits.events) else { continue }
            try db.execute(
                sql: "DELETE FROM event WHERE controller = ? AND number <= ?",
                arguments: [Int(controller.rawValue), try Self.integer(newest - UInt64(limits.events))])
        }
    }

    /// Makes room on a full disk by giving up the older half of the events.
    func makeRoom() throws(DatastoreFailure) {
        do {
            try database.write { db in
                for controller in ControllerID.allCases {
                    try db.execute(
                        sql: """
                            DELETE FROM event WHERE controller = ? AND number <=
                                (SELECT (MIN(number) + MAX(number)) / 2 FROM event WHERE controller = ?)
                            """, arguments: [Int(controller.rawValue), Int(controller.rawValue)])
                }
            }
            try database.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        } catch {
            throw Self.failure(error)
        }
    }

    /// SQLite's integers have a sign; a number that only an attacker would send must not trap.
    static func integer(_ value: UInt64) throws -> Int64 {
        guard let value = Int64(exactly: value) else {
            throw DatastoreFailure(.notUnderstood, "the number \(value) is out of range")
        }
        return value
    }

    // MARK: reading

    func read<T>(_ body: (Database) throws -> T) throws(DatastoreFailure) -> T {
        do {
            return try database.read(body)
        } catch {
            throw Self.failure(error)
        }
    }

    /// Newest first.
    func masterships(limit: Int) throws(DatastoreFailure) -> [MastershipEntry] {
        try read { db in
            try Row.fetchAll(
                db, sql: "SELECT epoch, controller, time FROM mastership ORDER BY epoch DESC LIMIT \(max(0, limit))"
            ).map { row in
                MastershipEntry(
                    epoch: UInt64(clamping: row["epoch"] as Int64), controller: Self.controller(row["controller"]),
                    time: WallTime(microseconds: row["time"]))
            }
        }
    }

    /// Newest first.
    func switchovers(limit: Int) throws(DatastoreFailure) -> [SwitchoverEntry] {
        try read { db in
            try Data.fetchAll(
                db, sql: "SELECT entry FROM switchover ORDER BY started DESC, epoch DESC LIMIT \(max(0, limit))"
            ).compactMap { data in
                guard case .switchover(let entry) = try? DatastoreTransaction(decoding: [UInt8](data)) else { return nil }
                return entry
            }
        }
    }

    /// The newest `limit` events that the query selects, oldest first.
    func events(_ query: EventSelection) throws(DatastoreFailure) -> [EventEntry] {
        try read { db in
            var conditions = ["severity >= \(query.severity.rawValue)"]
            var arguments: StatementArguments = []
            if let controller = query.controller { conditions.append("controller = \(controller.rawValue)") }
            if let after = query.after {
                conditions.append("number > ?")
                arguments += [Int64(clamping: after)]
            }
            if let component = query.component {
                conditions.append("component = ?")
                arguments += [component]
            }
            return try Row.fetchAll(
                db,
                sql: """
                    SELECT controller, number, time, severity, component, message FROM event
                    WHERE \(conditions.joined(separator: " AND ")) ORDER BY time DESC, number DESC LIMIT \(max(0, query.limit))
                    """, arguments: arguments
            ).reversed().map { row in
                EventEntry(
                    number: UInt64(clamping: row["number"] as Int64), time: WallTime(microseconds: row["time"]),
                    controller: Self.controller(row["controller"]),
                    event: Event(
                        Event.Severity(rawValue: UInt8(clamping: row["severity"] as Int64)) ?? .alarm, row["component"],
                        row["message"]))
            }
        }
    }

    func lastEventNumber(of controller: ControllerID) throws(DatastoreFailure) -> UInt64 {
        try read { db in
            let number = try Int64.fetchOne(
                db, sql: "SELECT MAX(number) FROM event WHERE controller = ?", arguments: [Int(controller.rawValue)])
            return UInt64(clamping: number ?? 0)
        }
    }

    private static func controller(_ value: Int64) -> ControllerID { value == 1 ? .b : .a }
}
