/// A router file made of another program's configuration, and what became of each of its statements.
///
/// It is a beginning, not a copy of behaviour: what can't be said here is named, line by line, and what is said a little
/// differently as well.
public struct Conversion: Hashable, Sendable {
    /// Whose configuration it is.
    public enum Dialect: String, CaseIterable, Sendable {
        /// FRRouting, one file or several after each other.
        case frr
        /// BIRD 2.
        case bird
        /// OpenBGPD.
        case openbgpd
    }

    /// What became of a statement that is not simply there now.
    public struct Note: Hashable, Sendable {
        public enum Kind: Int, Hashable, Sendable, Comparable {
            /// Nothing stands for it.
            case left
            /// Something stands for it that is not the same, or needs a look.
            case changed
            /// It concerns the other program alone.
            case needless
            public static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }
        }
        public var kind: Kind
        /// From 1.
        public var line: Int
        public var statement: String
        public var reason: String
    }

    /// A router file, in YAML.
    public let text: String
    /// By line.
    public let notes: [Note]
    /// Statements that concern a router, mapped or not.
    public let statements: Int

    public var left: Int { notes.count { $0.kind == .left } }
    public var mapped: Int { statements - left }

    /// - Parameter text: any text; what is no configuration of that program comes back as statements that are left.
    public init(_ text: String, from dialect: Dialect) {
        let draft: RouterDraft
        switch dialect {
        case .frr: draft = FRRReader.read(text)
        case .bird: draft = BIRDReader.read(text)
        case .openbgpd: draft = OpenBGPDReader.read(text)
        }
        self.text = draft.yaml(from: dialect)
        notes = draft.notes.sorted { ($0.line, $0.kind, $0.statement) < ($1.line, $1.kind, $1.statement) }
        statements = draft.statements
    }
}

/// Why a statement is not mapped.
struct Unmapped: Error {
    var reason: String
    init(_ reason: String) { self.reason = reason }
}
