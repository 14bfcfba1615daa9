import ArgumentParser
import Configuration
import Foundation
import Management

struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The router's configuration.",
        subcommands: [
            ConfigCheck.self, ConfigApply.self, ConfigShow.self, ConfigHistory.self, ConfigDiff.self, ConfigRollback.self,
            ConfigImport.self, ConfigReference.self, ConfigComplete.self,
        ])
}

/// A file, or `-` for the standard input.
func readInput(_ file: String) throws -> [UInt8] {
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
        discussion: "Files of routers, controllers and witnesses are told apart by their keys.")
    @Argument(help: "The file, or - for the standard input.") var file: String
    @OptionGroup var form: JSONFlag

    func run() throws {
        let bytes = try readInput(file)
        let kind = ConfigurationKind.of(bytes)
        let problems = kind.problems(bytes, file: file, directory: (file as NSString).deletingLastPathComponent)
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
            if view.isAccepted {
                print("\(file): a \(kind) that can be used")
            } else {
                complain("\(file): \(summary(view.problems))")
            }
        }
        if !view.isAccepted { throw Silent(status: Status.refused) }
    }
}

struct ConfigReference: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reference", abstract: "Every key of every file, with its values and its default, as Markdown.")
    func run() { print(SettingsReference.manual, terminator: "") }
}

struct ConfigComplete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "complete", abstract: "What may stand where a path ends: keys, or after a colon values.",
        discussion: "For editors and shells: 'bgp.neighbors.re' gives remote-as and others, 'isis.metric-style:' its words.")
    @Argument(help: "Keys with dots between them.") var path = ""
    @Option(help: ArgumentHelp("Of this file: router, controller or witness.", valueName: "name")) var file = "router"
    func run() { say(SettingsReference.completions(of: path, in: file)) }
}

struct ConfigApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "config apply",
        discussion: """
            Nobody's change is lost: if another revision came into force since this text was made, nothing is changed and \
            what the others did is shown. What a text was made from is said by --base, or by the first line that 'config \
            show' printed; else it is the revision in force when the command begins.
            """)
    @Argument(help: "The file, or - for the standard input.") var file: String
    @Option(name: [.short, .long], help: "A line for the history.") var comment = ""
    @Flag(name: [.customLong("dry-run"), .customLong("diff")], help: "Check and show the difference, but change nothing.")
    var dryRun = false
    @Option(help: ArgumentHelp("The revision that the text was made from.", valueName: "revision")) var base: UInt64?
    @Flag(help: "Also a text without interfaces, which takes the router away.") var force = false
    @OptionGroup var form: JSONFlag

    func run() throws {
        let bytes = try readInput(file)
        guard bytes.count <= ManagementProtocol.configurationLengthMaximum,
            let text = String(validating: bytes, as: UTF8.self)
        else { throw ManagementFailure(.refused, "\(file): it is no text, or longer than a configuration can be") }
        var apply = ConfigurationApply(
            configuration: ConfigurationText(file: file, text: text), comment: comment, dryRun: true,
            base: base ?? ConfigurationHeader.revision(of: text), force: force ? true : nil)
        // What would change is asked first: then the order holds only for the revision against which that was judged.
        let would = try ask(apply)
        guard !dryRun, would.isAccepted, !would.difference.isEmpty || would.base == 0 else {
            return try finish(would, form, isDryRun: true, command: ("config apply", file))
        }
        apply.dryRun = false
        apply.base = apply.base ?? would.base
        let view = try ask(apply)
        try finish(view, form, command: ("config apply", file))
        if !form.json, let revision = view.revision, ConfigurationHeader.revision(of: text) != nil {
            print("for the next edit let the first line of the text say '# revision \(revision)', or begin with 'config show'")
        }
    }

    private func ask(_ apply: ConfigurationApply) throws -> ConfigurationApplyView {
        let result = try Connection.ask(.configurationApply(apply), timeout: .seconds(60))
        guard case .configurationApply(let view) = result else { throw unexpected() }
        return view
    }
}

/// Says what became of `apply` or `rollback`.
private func finish(
    _ view: ConfigurationApplyView, _ form: JSONFlag, isDryRun: Bool = false, command: (words: String, object: String)
) throws {
    let outcome = view.outcome(isDryRun: isDryRun, command: command)
    if form.json {
        try form.show(view, [])
    } else {
        // In the order in which they are said, also where both go to one place.
        say(outcome.lines)
        fflush(nil)
        for line in outcome.complaints { complain(line) }
    }
    switch outcome.status {
    case .done: break
    case .failed: throw Silent(status: Status.failed)
    case .refused: throw Silent(status: Status.refused)
    }
}

struct ConfigShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "config show")
    @Argument(help: "Number of the revision.") var revision: UInt64?
    @Flag(help: "In the one canonical spelling, with groups expanded, instead of as its author wrote it.") var canonical = false
    @Flag(help: "With passwords and keys, which are hidden otherwise. 'config apply' knows what hidden ones stand for.")
    var secrets = false
    @OptionGroup var form: JSONFlag

    func run() throws {
        let query = ConfigurationQuery(revision: revision, canonical: canonical, secrets: secrets ? true : nil)
        guard case .configuration(let view) = try Connection.ask(.configurationShow(query)) else { throw unexpected() }
        let text = ConfigurationHeader.text(of: view)
        try form.show(view, [text.hasSuffix("\n") ? String(text.dropLast()) : text])
    }
}

struct ConfigHistory: ParsableCommand {
    static let configuration = CommandConfiguration(of: "config history")
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
        of: "config diff",
        discussion: "Without numbers: what the last change was. With one: from it to the one in force.")
    @Argument(help: "The older revision.") var from: UInt64?
    @Argument(help: "The newer revision.") var to: UInt64?
    @Flag(help: "With passwords and keys, which are hidden otherwise.") var secrets = false
    @OptionGroup var form: JSONFlag

    func run() throws {
        let query = ConfigurationDiffQuery(from: from, to: to, secrets: secrets ? true : nil)
        guard case .configurationDiff(let view) = try Connection.ask(.configurationDiff(query)) else { throw unexpected() }
        try form.show(view, view.lines.isEmpty ? ["revisions \(view.from) and \(view.to) are equal"] : view.lines)
    }
}

struct ConfigRollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "config rollback")
    @Argument(help: "Number of the revision.") var revision: UInt64
    @Option(name: [.short, .long], help: "A line for the history.") var comment = ""
    @Option(
        help: ArgumentHelp(
            "Only if this revision is in force; else the one that is when the command begins.", valueName: "revision"))
    var base: UInt64?
    @OptionGroup var form: JSONFlag

    func run() throws {
        var base = base
        if base == nil {
            guard case .configuration(let now) = try Connection.ask(.configurationShow(ConfigurationQuery())) else {
                throw unexpected()
            }
            base = now.revision
        }
        let rollback = ConfigurationRollback(revision: revision, comment: comment, base: base)
        let result = try Connection.ask(.configurationRollback(rollback), timeout: .seconds(60))
        guard case .configurationApply(let view) = result else { throw unexpected() }
        try finish(view, form, command: ("config rollback", "\(revision)"))
    }
}
