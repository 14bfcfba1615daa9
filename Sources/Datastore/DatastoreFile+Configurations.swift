import Foundation
import GRDB
import Records

// Configurations: the history, and the one mark that says with which of them to begin.

extension DatastoreFile {
    /// What a configuration that is written has to do with the mark.
    enum Standing { case enters, stands, past }

    func write(_ revision: ConfigurationRevision, _ standing: Standing, _ db: Database) throws {
        let id = try keep(revision, standing, db)
        let isMarked =
            switch standing {
            case .stands: true
            case .past: false
            case .enters: try enters(revision, id, db)
            }
        if isMarked { try db.execute(sql: "INSERT OR REPLACE INTO in_force VALUES (1, ?)", arguments: [id]) }
        try db.execute(
            sql: """
                DELETE FROM configuration WHERE id NOT IN
                    (SELECT id FROM configuration ORDER BY number DESC, epoch DESC, log_index DESC, id DESC LIMIT ?)
                    AND id NOT IN (SELECT configuration FROM in_force)
                """, arguments: [limits.revisions])
    }

    /// The row of this configuration, new or brought up to date.
    private func keep(_ revision: ConfigurationRevision, _ standing: Standing, _ db: Database) throws -> Int64 {
        let octets = Data(revision.octets)
        let number = try Self.integer(revision.number)
        let epoch = try Self.integer(revision.epoch), index = try Self.integer(revision.index)
        let known = try Row.fetchOne(
            db, sql: "SELECT id, epoch, log_index, author FROM configuration WHERE number = ? AND octets = ?",
            arguments: [number, octets])
        guard let known else {
            try db.execute(
                sql: """
                    INSERT INTO configuration (number, epoch, log_index, time, author, comment, text, octets)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    number, epoch, index, revision.time.microseconds, revision.author, revision.comment, revision.text, octets,
                ])
            return db.lastInsertedRowID
        }
        let id: Int64 = known["id"]
        // Octets alone come with the log; who wrote them and how comes from the twin's datastore, before or after.
        if !revision.author.isEmpty || (known["author"] as String).isEmpty {
            try db.execute(
                sql: "UPDATE configuration SET time = ?, author = ?, comment = ?, text = ? WHERE id = ?",
                arguments: [revision.time.microseconds, revision.author, revision.comment, revision.text, id])
        }
        let held: (Int64, Int64) = (known["epoch"], known["log_index"])
        if standing == .stands || held < (epoch, index) {
            try db.execute(
                sql: "UPDATE configuration SET epoch = ?, log_index = ? WHERE id = ?", arguments: [epoch, index, id])
        }
        return id
    }

    /// A transaction that was late, or that the twin sends again, does not bring an older configuration back.
    private func enters(_ revision: ConfigurationRevision, _ id: Int64, _ db: Database) throws -> Bool {
        let marked = try Row.fetchOne(
            db, sql: "SELECT id, number, epoch, log_index FROM configuration WHERE id = (SELECT configuration FROM in_force)")
        guard let marked else { return true }
        let held: (Int64, Int64, Int64) = (marked["epoch"], marked["log_index"], marked["number"])
        let new = (try Self.integer(revision.epoch), try Self.integer(revision.index), try Self.integer(revision.number))
        return marked["id"] as Int64 == id || held < new
    }

    /// The configuration to begin with.
    func inForce() throws(DatastoreFailure) -> ConfigurationRevision? {
        try read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM configuration WHERE id = (SELECT configuration FROM in_force)"
            ).map(Self.revision)
        }
    }

    /// Newest first.
    /// - Parameters:
    ///   - number: only this one.
    ///   - withContents: else text and octets stay empty.
    func revisions(
        number: UInt64? = nil, withContents: Bool, limit: Int
    ) throws(DatastoreFailure) -> [ConfigurationRevision] {
        // No revision has a number that does not fit a column: nobody's fault, and no failure of the disk.
        if let number, Int64(exactly: number) == nil { return [] }
        return try read { db in
            let contents = withContents ? "text, octets" : "'' AS text, x'' AS octets"
            let condition = number == nil ? "" : "WHERE number = ?"
            var arguments: StatementArguments = []
            if let number { arguments += [try Self.integer(number)] }
            return try Row.fetchAll(
                db,
                sql: """
                    SELECT number, epoch, log_index, time, author, comment, \(contents) FROM configuration \(condition)
                    ORDER BY number DESC, epoch DESC, log_index DESC, id DESC LIMIT \(max(0, limit))
                    """, arguments: arguments
            ).map(Self.revision)
        }
    }

    private static func revision(_ row: Row) -> ConfigurationRevision {
        ConfigurationRevision(
            number: UInt64(clamping: row["number"] as Int64), epoch: UInt64(clamping: row["epoch"] as Int64),
            index: UInt64(clamping: row["log_index"] as Int64), time: WallTime(microseconds: row["time"]),
            author: row["author"], comment: row["comment"], text: row["text"], octets: [UInt8](row["octets"] as Data))
    }
}
