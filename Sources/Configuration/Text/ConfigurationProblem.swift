/// One thing that is wrong with a configuration file, or doubtful: where it is, what is wrong, what would be right.
public struct ConfigurationProblem: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Severity: Hashable, Sendable {
        /// The file is refused.
        case error
        /// The file is accepted, but perhaps it does not mean what its author meant.
        case warning
    }
    public var severity: Severity
    public var file: String
    /// From 1. 0: the problem has no place, the file could not be read at all.
    public var line: Int
    public var column: Int
    /// `bgp.neighbors[2].remote-as`; empty for the file as a whole.
    public var path: String
    public var message: String

    public init(
        _ severity: Severity = .error, file: String, line: Int = 0, column: Int = 0, path: String = "", message: String
    ) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
    }

    public var description: String {
        (line > 0 ? "\(file):\(line):\(column): " : "\(file): ")
            + (severity == .warning ? "warning: " : "")
            + (path.isEmpty ? message : "\(path): \(message)")
    }
}

/// A value, or every reason why there is none; warnings come with a value, too.
public struct ConfigurationResult<Value: Sendable>: Sendable {
    /// `nil` exactly if one of the problems is an error.
    public let value: Value?
    /// In the order of the file, at most `Problems.maximum`.
    public let problems: [ConfigurationProblem]

    init(_ value: Value?, _ problems: Problems) {
        self.problems = problems.inOrder
        self.value = problems.hasErrors ? nil : value
    }
    public var errors: [ConfigurationProblem] { problems.filter { $0.severity == .error } }
    public var warnings: [ConfigurationProblem] { problems.filter { $0.severity == .warning } }
}

/// Collects the problems of one file while it is read.
final class Problems {
    /// After so many the rest is only counted.
    static let maximum = 100

    let file: String
    private var list: [ConfigurationProblem] = []
    /// A peer group is read once for each neighbour that uses it, but its problems are told once.
    private var seen: Set<ConfigurationProblem> = []
    private var omitted = 0
    private(set) var hasErrors = false

    init(file: String) { self.file = file }

    func add(_ severity: ConfigurationProblem.Severity, line: Int, column: Int, path: String, _ message: String) {
        let problem = ConfigurationProblem(
            severity, file: file, line: line, column: column, path: path, message: message)
        if severity == .error { hasErrors = true }
        guard list.count < Self.maximum else { return omitted += 1 }
        if seen.insert(problem).inserted { list.append(problem) }
    }

    var inOrder: [ConfigurationProblem] {
        var result = list.enumerated().sorted {
            ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
        }.map(\.element)
        if omitted > 0 {
            result.append(
                ConfigurationProblem(
                    hasErrors ? .error : .warning, file: file, message: "and \(omitted) more problems"))
        }
        return result
    }
}
