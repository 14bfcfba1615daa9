import Foundation

/// `config show`
public struct ConfigurationView: Hashable, Sendable, Codable {
    /// 0: nothing is in force yet.
    public var revision: UInt64
    public var time: Date?
    public var author: String
    public var comment: String
    public var text: String

    public init(revision: UInt64, time: Date? = nil, author: String = "", comment: String = "", text: String) {
        self.revision = revision
        self.time = time
        self.author = author
        self.comment = comment
        self.text = text
    }
}

/// One thing that is wrong with a configuration, or doubtful.
public struct ConfigurationProblemView: Hashable, Sendable, Codable, CustomStringConvertible {
    /// A warning does not keep the configuration from being applied.
    public var isError: Bool
    public var file: String
    /// From 1; 0 if it has no place.
    public var line: Int
    public var column: Int
    /// `bgp.neighbors[2].remote-as`
    public var path: String
    public var message: String

    public init(isError: Bool, file: String, line: Int, column: Int, path: String, message: String) {
        self.isError = isError
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
    }
    public var description: String {
        let place = line > 0 ? "\(file):\(line):\(column): " : "\(file): "
        return place + (isError ? "" : "warning: ") + (path.isEmpty ? "" : path + ": ") + message
    }
}

/// `config check`
public struct ConfigurationCheckView: Hashable, Sendable, Codable {
    public var isAccepted: Bool
    public var problems: [ConfigurationProblemView]
    public init(isAccepted: Bool, problems: [ConfigurationProblemView]) {
        self.isAccepted = isAccepted
        self.problems = problems
    }
}

/// `config apply`, `config rollback`
public struct ConfigurationApplyView: Hashable, Sendable, Codable {
    /// The new revision; `nil` when nothing was changed: refused, dry run, or equal to what is in force.
    public var revision: UInt64?
    public var isAccepted: Bool
    public var problems: [ConfigurationProblemView]
    /// Lines that begin with `+`, `-` or a space; empty when nothing differs.
    public var difference: [String]
    /// Whether both controllers have it on their disks.
    public var isMirrored: Bool
    /// The revision that was in force before, against which `difference` is.
    public var base: UInt64?
    /// Refused because another revision is in force than the one that its author began with.
    public var conflict: ConfigurationConflictView?
    /// Where the new revision is stored, this controller first.
    public var storage: [ConfigurationStorageView]?
    /// Whether the twin is in lock step with it; `nil` if there is no twin.
    public var isRedundant: Bool?

    public init(
        revision: UInt64?, isAccepted: Bool, problems: [ConfigurationProblemView], difference: [String],
        isMirrored: Bool = false, base: UInt64? = nil, conflict: ConfigurationConflictView? = nil,
        storage: [ConfigurationStorageView]? = nil, isRedundant: Bool? = nil
    ) {
        self.revision = revision
        self.isAccepted = isAccepted
        self.problems = problems
        self.difference = difference
        self.isMirrored = isMirrored
        self.base = base
        self.conflict = conflict
        self.storage = storage
        self.isRedundant = isRedundant
    }
}

/// Whether one controller has a configuration on its disk.
public struct ConfigurationStorageView: Hashable, Sendable, Codable {
    /// `a` or `b`
    public var controller: String
    public var isStored: Bool
    /// False where nobody is there to store it: no fault of a disk.
    public var isExpected: Bool
    /// Why it is not stored; empty if it is.
    public var reason: String
    public init(controller: String, isStored: Bool, isExpected: Bool = true, reason: String = "") {
        self.controller = controller
        self.isStored = isStored
        self.isExpected = isExpected
        self.reason = reason
    }
}

/// What others changed since an author began.
public struct ConfigurationConflictView: Hashable, Sendable, Codable {
    /// The revision that the author began with.
    public var base: UInt64
    /// The one in force now.
    public var revision: UInt64
    /// What came in between, oldest first.
    public var changes: [ConfigurationHistoryView.Revision]
    /// From `base` to what is in force; `nil` if `base` is not known here.
    public var difference: [String]?
    public init(base: UInt64, revision: UInt64, changes: [ConfigurationHistoryView.Revision], difference: [String]?) {
        self.base = base
        self.revision = revision
        self.changes = changes
        self.difference = difference
    }
}

/// `config history`, newest first.
public struct ConfigurationHistoryView: Hashable, Sendable, Codable {
    public struct Revision: Hashable, Sendable, Codable {
        public var revision: UInt64
        public var time: Date
        public var author: String
        public var comment: String
        public var isInForce: Bool
        public init(revision: UInt64, time: Date, author: String, comment: String, isInForce: Bool) {
            self.revision = revision
            self.time = time
            self.author = author
            self.comment = comment
            self.isInForce = isInForce
        }
    }
    public var revisions: [Revision]
    public init(revisions: [Revision]) { self.revisions = revisions }
}

/// `config diff`
public struct ConfigurationDiffView: Hashable, Sendable, Codable {
    public var from: UInt64
    public var to: UInt64
    /// Lines that begin with `+`, `-` or a space; empty when nothing differs.
    public var lines: [String]
    public init(from: UInt64, to: UInt64, lines: [String]) {
        self.from = from
        self.to = to
        self.lines = lines
    }
}
