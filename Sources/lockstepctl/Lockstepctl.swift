import ArgumentParser
import Foundation
import Management

/// The operator's command line: it speaks with one controller over its Unix socket, and formats what comes back.
struct Lockstepctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstepctl",
        abstract: "Look at and direct a Lockstep controller.",
        discussion: """
            Every show command also takes --json. Exit status: 0 done, 1 failed, 2 refused or wrong usage, \
            3 no controller answers.
            """,
        subcommands: [Show.self, Config.self, Policy.self, Switchover.self, Clear.self, Offline.self, Online.self, Test.self])

    @OptionGroup var connection: Connection
}

/// Where the controller is. It may stand before the command or after it, whatever the command.
struct Connection: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Unix socket of the controller; LOCKSTEP_SOCKET names another default.", valueName: "path"))
    var socket: String?

    /// The parser gives an option to the command behind which it stands; so it is taken out before.
    nonisolated(unsafe) static var socketPath =
        ProcessInfo.processInfo.environment["LOCKSTEP_SOCKET"] ?? ManagementProtocol.socketPathDefault

    /// Takes `--socket PATH` out of the arguments and notes it.
    static func extract(from arguments: [String]) -> [String] {
        var rest: [String] = []
        var words = arguments[...]
        while let word = words.popFirst() {
            if word == "--socket", let path = words.first {
                unsafe socketPath = path
                words.removeFirst()
            } else if word.hasPrefix("--socket=") {
                unsafe socketPath = String(word.dropFirst("--socket=".count))
            } else {
                rest.append(word)
                if word == "--" { return rest + words }
            }
        }
        return rest
    }

    /// Asks the controller; a refusal or failure ends the program with its status.
    static func ask(
        _ command: ManagementCommand, timeout: Duration? = .seconds(10), progress: (ManagementResult) -> Void = { _ in }
    ) throws -> ManagementResult {
        let client = try ManagementClient(path: unsafe socketPath)
        let result = try client.ask(command, author: author, timeout: timeout, progress: progress)
        if case .failure(let failure) = result { throw failure }
        return result
    }

    private static var author: String {
        let environment = ProcessInfo.processInfo.environment
        return environment["SUDO_USER"] ?? environment["USER"] ?? "uid \(getuid())"
    }
}

/// How the program ends.
enum Status {
    static let failed: Int32 = 1
    static let refused: Int32 = 2
    static let unreachable: Int32 = 3

    static func of(_ error: any Error) -> Int32 {
        switch error {
        case let failure as ManagementFailure:
            switch failure.code {
            case .refused, .badRequest, .notFound: refused
            case .failed: failed
            }
        case let failure as ManagementClient.Failure:
            if case .unreachable = failure { unreachable } else { failed }
        default: failed
        }
    }
}

/// Ends the program without a further word: everything was said.
struct Silent: Error {
    var status: Int32
}

func say(_ lines: [String]) {
    if !lines.isEmpty { print(lines.joined(separator: "\n")) }
}
/// Appears at once, also in a pipe: `show events --follow | grep` must not wait for a full buffer.
func sayNow(_ line: String) {
    print(line)
    fflush(nil)
}
func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

/// The answer was not of the kind that the command has.
func unexpected() -> ManagementFailure {
    ManagementFailure(.failed, "the controller answered something else than was asked; is it of another release?")
}

struct JSONFlag: ParsableArguments {
    @Flag(help: "One JSON value instead of text.") var json = false

    /// Prints the view in the form that was asked for.
    func show(_ view: some Encodable, _ lines: @autoclosure () -> [String]) throws {
        guard json else { return say(lines()) }
        let encoder = ManagementCodec.encoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        print(String(decoding: try encoder.encode(view), as: UTF8.self))
    }
    /// One line, for what goes on.
    func showLine(_ view: some Encodable, _ line: @autoclosure () -> String) throws {
        sayNow(json ? String(decoding: try ManagementCodec.encoder().encode(view), as: UTF8.self) : line())
    }
}

extension CommandConfiguration {
    /// What the table of commands says of one; its last word is the name here.
    init(
        of command: String, _ abstract: String? = nil, discussion: String = "", subcommands: [any ParsableCommand.Type] = [],
        aliases: [String] = []
    ) {
        self.init(
            commandName: command.split(separator: " ").last.map(String.init),
            abstract: abstract ?? CommandDescription[command].help,
            discussion: discussion, subcommands: subcommands, aliases: aliases)
    }
}

/// A command with nothing to say, whose answer is shown.
protocol PlainShow: ParsableCommand {
    static var command: ManagementCommand { get }
    static var aliases: [String] { get }
    var form: JSONFlag { get }
}
extension PlainShow {
    static var aliases: [String] { [] }
    static var configuration: CommandConfiguration { CommandConfiguration(of: command.name, aliases: aliases) }

    func run() throws {
        switch try Connection.ask(Self.command) {
        case .version(let view): try form.show(view, view.lines)
        case .redundancy(let view): try form.show(view, view.lines)
        case .bgpSummary(let view): try form.show(view, view.lines)
        case .tcp(let view): try form.show(view, view.lines)
        case .interfaces(let view): try form.show(view, view.lines)
        case .fib(let view): try form.show(view, view.lines)
        case .kernelFIB(let view): try form.show(view, view.lines)
        default: throw unexpected()
        }
    }
}

/// A command with nothing to say, which does something.
protocol PlainOrder: ParsableCommand {
    static var command: ManagementCommand { get }
}
extension PlainOrder {
    static var configuration: CommandConfiguration { CommandConfiguration(of: command.name) }
    func run() throws { try obey(Self.command) }
}

/// Says what was done.
func obey(_ command: ManagementCommand, timeout: Duration = .seconds(10)) throws {
    let result = try Connection.ask(command, timeout: timeout) { result in
        if case .step(let step) = result { sayNow(step.line) }
    }
    guard case .done(let text) = result else { throw unexpected() }
    print(text)
}

/// A command that ends adjacencies of one protocol.
protocol ClearAdjacency: ParsableCommand {
    /// As `ClearAdjacencies.routing`.
    static var routing: String { get }
    static var abstract: String { get }
    var neighbor: String { get }
}
extension ClearAdjacency {
    static var configuration: CommandConfiguration { CommandConfiguration(commandName: routing, abstract: abstract) }
    func run() throws { try obey(.clearAdjacencies(ClearAdjacencies(routing: Self.routing, neighbor: neighbor))) }
}
