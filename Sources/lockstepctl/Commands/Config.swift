import ArgumentParser
import Configuration
import Foundation
import Management

struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The router's configuration.",
        subcommands: [
            ConfigCheck.self, ConfigApply.self, ConfigShow.self, ConfigHistory.self, ConfigDiff.self, ConfigRollback.self,
        ])
}

/// A file, or `-` for the standard input.
private func read(_ file: String) throws -> [UInt8] {
    do {
        let data = file == "-" ? FileHandle.standardInput.readDataToEndOfFile() : try Data(contentsOf: URL(fileURLWithPath: file))
        return [UInt8](data)
    } catch {
        let reason = FileManager.default.fileExists(atPath: file) ? "it cannot be read" : "there is no such file"
        throw ManagementFailure(.refused, "\(file): \(reason)")
    }
}

private func tell(_ problems: [ConfigurationProblemView]) {
    for problem in problems { complain(problem.description) }
}
private func summary(_ problems: [ConfigurationProblemView]) -> String {
    let errors = problems.count { $0.isError }
    return Words.count(errors, "error", "errors")
}

struct ConfigCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a file, without a controller.",
        discussion: "Controller files and router configurations are told apart by their keys.")
    @Argument(help: "The file, or - for the standard input.") var file: String
    @OptionGroup var form: JSONFlag

    func run() throws {
        let bytes = try read(file)
        let problems: [ConfigurationProblem]
        let kind: String
        switch ConfigurationKind.of(bytes) {
        case .controller:
            kind = "controller file"
            problems = ControllerText.read(bytes, file: file, directory: (file as NSString).deletingLastPathComponent).problems
        case .router:
            kind = "router configuration"
            problems = RouterText.read(bytes, file: file).problems
        }
        let view = ConfigurationCheckView(
            isAccepted: !problems.contains { $0.severity == .error },
            problems: problems.map {
                ConfigurationProblemView(
                    isError: $0.severity == .error, file: $0.file, line: $0.line, column: $0.column, path: $0.path,
                    message: $0.message)
            })
        if form.json {
            try form.show(view, [])
        } else {
            tell(view.problems)
            if view.isAccepted { print("\(file): a \(kind) that can be used") } else { complain("\(file): \(summary(view.problems))") }
        }
        if !view.isAccepted { throw Silent(status: Status.refused) }
    }
}

struct ConfigApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Put a router configuration into force on both controllers.")
    @Argument(help: "The file, or - for the standard input.") var file: String
    @Option(name: [.short, .long], help: "A line for the history.") var comment = ""
    @Flag(name: [.customLong("dry-run"), .customLong("diff")], help: "Check and show the difference, but change nothing.")
    var dryRun = false
    @OptionGroup var form: JSONFlag

    func run() throws {
        let bytes = try read(file)
        guard bytes.count <= ManagementProtocol.configurationLengthMaximum,
            let text = String(validating: bytes, as: UTF8.self)
        else { throw ManagementFailure(.refused, "\(file): it is no text, or longer than a configuration can be") }
        let apply = ConfigurationApply(
            configuration: ConfigurationText(file: file, text: text), comment: comment, dryRun: dryRun)
        try finish(try Connection.ask(.configurationApply(apply), timeout: .seconds(30)), form, dryRun: dryRun)
    }
}

/// Says what became of `apply` or `rollback`.
private func finish(_ result: ManagementResult, _ form: JSONFlag, dryRun: Bool) throws {
    guard case .configurationApply(let view) = result else { throw unexpected() }
    if form.json {
        try form.show(view, [])
    } else {
        tell(view.problems)
        say(view.difference)
        if !view.isAccepted {
            complain("refused, \(summary(view.problems)); the configuration in force stays")
        } else if let revision = view.revision {
            print("revision \(revision) is in force\(view.isMirrored ? ", on both controllers" : "; the twin does not have it yet")")
        } else if view.difference.isEmpty {
            print("nothing changes")
        } else if dryRun {
            print("nothing was changed: this is what would be")
        }
    }
    if !view.isAccepted { throw Silent(status: Status.refused) }
}

struct ConfigShow: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "The configuration in force, or another revision.")
    @Argument(help: "Number of the revision.") var revision: UInt64?
    @Flag(help: "In the one canonical spelling, with groups expanded, instead of as its author wrote it.") var canonical = false
    @OptionGroup var form: JSONFlag

    func run() throws {
        let query = ConfigurationQuery(revision: revision, canonical: canonical)
        guard case .configuration(let view) = try Connection.ask(.configurationShow(query)) else { throw unexpected() }
        try form.show(view, [view.text.hasSuffix("\n") ? String(view.text.dropLast()) : view.text])
    }
}

struct ConfigHistory: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "history", abstract: "Revisions, the newest first.")
    @Option(name: [.short, .long], help: ArgumentHelp("The newest so many.", valueName: "n")) var number = 20
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if !(1...1000).contains(number) { throw ValidationError("--number is 1 to 1000") }
    }
    func run() throws {
        guard case .configurationHistory(let view) = try Connection.ask(.configurationHistory(limit: number)) else {
            throw unexpected()
        }
        try form.show(view, view.lines)
    }
}

struct ConfigDiff: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "What changed between two revisions.",
        discussion: "Without numbers: what the last change was. With one: from it to the one in force.")
    @Argument(help: "The older revision.") var from: UInt64?
    @Argument(help: "The newer revision.") var to: UInt64?
    @OptionGroup var form: JSONFlag

    func run() throws {
        let query = ConfigurationDiffQuery(from: from, to: to)
        guard case .configurationDiff(let view) = try Connection.ask(.configurationDiff(query)) else { throw unexpected() }
        try form.show(view, view.lines.isEmpty ? ["revisions \(view.from) and \(view.to) are equal"] : view.lines)
    }
}

struct ConfigRollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Put an older revision into force again, as a new one.")
    @Argument(help: "Number of the revision.") var revision: UInt64
    @Option(name: [.short, .long], help: "A line for the history.") var comment = ""
    @OptionGroup var form: JSONFlag

    func run() throws {
        let rollback = ConfigurationRollback(revision: revision, comment: comment)
        try finish(try Connection.ask(.configurationRollback(rollback), timeout: .seconds(30)), form, dryRun: false)
    }
}
