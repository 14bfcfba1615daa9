/// One command, described once: what it is called on the wire and on the command line, what goes with it, what comes back,
/// whether it changes anything, and what it is for. The socket's codec and the command line read this table.
public struct CommandDescription: Sendable {
    /// The words of the command line.
    public let name: String
    /// One sentence.
    public let help: String
    /// The `type` of its final answer.
    public let answer: String
    /// Whether it can change something.
    public let changes: Bool
    /// What goes with it; `nil`: nothing.
    public let arguments: (any (Codable & Sendable).Type)?
    let isChange: @Sendable (ManagementCommand) -> Bool
    /// Whether a command is this one.
    let matches: @Sendable (ManagementCommand) -> Bool
    let read: @Sendable (KeyedDecodingContainer<ManagementKey>) throws -> ManagementCommand
    let write: @Sendable (ManagementCommand, inout KeyedEncodingContainer<ManagementKey>) throws -> Void

    /// A command with nothing to say.
    init(_ name: String, _ command: ManagementCommand, answer: String, changes: Bool = false, _ help: String) {
        self.name = name
        self.help = help
        self.answer = answer
        self.changes = changes
        arguments = nil
        isChange = { _ in changes }
        matches = { $0 == command }
        read = { _ in command }
        write = { _, _ in }
    }

    /// - Parameters:
    ///   - isTrial: whether it changes nothing this time.
    ///   - otherwise: what goes with it when nothing is said; `nil`: something must be.
    ///   - take: what goes with a command if it is this one.
    init<Arguments: Codable & Sendable>(
        _ name: String, answer: String, changes: Bool = false,
        isTrial: @escaping @Sendable (Arguments) -> Bool = { _ in false }, otherwise: Arguments? = nil, _ help: String,
        _ make: @escaping @Sendable (Arguments) -> ManagementCommand,
        _ take: @escaping @Sendable (ManagementCommand) -> Arguments?
    ) {
        self.name = name
        self.help = help
        self.answer = answer
        self.changes = changes
        arguments = Arguments.self
        isChange = { command in changes && take(command).map { !isTrial($0) } ?? false }
        matches = { take($0) != nil }
        read = { container in
            guard let otherwise else { return make(try container.decode(Arguments.self, forKey: .arguments)) }
            return make(try container.decodeIfPresent(Arguments.self, forKey: .arguments) ?? otherwise)
        }
        write = { command, container in try container.encodeIfPresent(take(command), forKey: .arguments) }
    }

    /// The row with this name; the names are known when this is written.
    public static subscript(name: String) -> CommandDescription {
        guard let row = all.first(where: { $0.name == name }) else { preconditionFailure("no command '\(name)'") }
        return row
    }

    public static let all: [CommandDescription] = shows + configurations + orders

    private static let shows: [CommandDescription] = [
        .init("show version", .showVersion, answer: "version", "Release and formats."),
        .init(
            "show redundancy", .showRedundancy, answer: "redundancy",
            "State of both controllers, and whether the router is redundant."),
        .init("show bgp summary", .showBGPSummary, answer: "bgp-summary", "One line for each neighbor."),
        .init(
            "show bgp neighbors", answer: "bgp-neighbors", otherwise: AddressArgument(),
            "All about the neighbors, or about one.",
            { (argument: AddressArgument) in .showBGPNeighbors(address: argument.address) }
        ) { if case .showBGPNeighbors(let address) = $0 { AddressArgument(address: address) } else { nil } },
        .init("show bfd", .showBFD, answer: "bfd", "BFD sessions."),
        .init(
            "show route", answer: "routes", "The routing table, or what a neighbor sent or gets.", ManagementCommand.showRoutes
        ) { if case .showRoutes(let query) = $0 { query } else { nil } },
        .init(
            "show isis", answer: "isis", "Neighbors, interfaces, database, routes and paths of IS-IS.", ManagementCommand.showISIS
        ) { if case .showISIS(let query) = $0 { query } else { nil } },
        .init("show rip", answer: "rip", "Neighbors, interfaces and routes of RIP or RIPng.", ManagementCommand.showRIP) {
            if case .showRIP(let query) = $0 { query } else { nil }
        },
        .init(
            "show rpki", answer: "rpki", otherwise: RPKIQuery(), "The caches of the RPKI, and what they say of a prefix.",
            ManagementCommand.showRPKI
        ) { if case .showRPKI(let query) = $0 { query } else { nil } },
        .init(
            "policy test", answer: "policy", "What policies do with a route that is made up, and which statement decides.",
            ManagementCommand.policyTest
        ) { if case .policyTest(let query) = $0 { query } else { nil } },
        .init(
            "policy explain", answer: "policy", "What policy does with a route that is there, and which statement decides.",
            ManagementCommand.policyExplain
        ) { if case .policyExplain(let query) = $0 { query } else { nil } },
        .init("show tcp", .showTCP, answer: "tcp", "TCP connections of the router."),
        .init("show interfaces", .showInterfaces, answer: "interfaces", "Interfaces of the router."),
        .init(
            "show fib groups", .showFIB, answer: "fib",
            "Its groups of next hops as the engine has them, and where packets go now."),
        .init(
            "show ospf", answer: "ospf", "Neighbors, interfaces, database, routes and calculations of OSPF.",
            ManagementCommand.showOSPF
        ) { if case .showOSPF(let query) = $0 { query } else { nil } },
        .init(
            "show fib kernel", .showKernelFIB, answer: "kernel-fib",
            "What the kernel of this host has of it, its devices and its gate."),
        .init("show events", answer: "events", "The event log of both controllers.", ManagementCommand.showEvents) {
            if case .showEvents(let query) = $0 { query } else { nil }
        },
    ]

    private static let configurations: [CommandDescription] = [
        .init(
            "config show", answer: "configuration", "The configuration in force, or another revision.",
            ManagementCommand.configurationShow
        ) { if case .configurationShow(let query) = $0 { query } else { nil } },
        .init(
            "config check", answer: "configuration-check", "Check a router configuration.", ManagementCommand.configurationCheck
        ) { if case .configurationCheck(let text) = $0 { text } else { nil } },
        .init(
            "config apply", answer: "configuration-apply", changes: true, isTrial: { $0.dryRun },
            "Put a router configuration into force on both controllers.", ManagementCommand.configurationApply
        ) { if case .configurationApply(let apply) = $0 { apply } else { nil } },
        .init(
            "config history", answer: "configuration-history", "Revisions, the newest first.",
            { (argument: LimitArgument) in .configurationHistory(limit: argument.limit) }
        ) { if case .configurationHistory(let limit) = $0 { LimitArgument(limit: limit) } else { nil } },
        .init(
            "config diff", answer: "configuration-diff", "What changed between two revisions.",
            ManagementCommand.configurationDiff
        ) { if case .configurationDiff(let query) = $0 { query } else { nil } },
        .init(
            "config rollback", answer: "configuration-apply", changes: true,
            "Put an older revision into force again, as a new one.", ManagementCommand.configurationRollback
        ) { if case .configurationRollback(let rollback) = $0 { rollback } else { nil } },
    ]

    private static let orders: [CommandDescription] = [
        .init(
            "switchover", answer: "switchover", changes: true,
            "Hand the router over to the standby, and wait until that is done.", ManagementCommand.switchover
        ) { if case .switchover(let order) = $0 { order } else { nil } },
        .init(
            "clear bgp", answer: "done", changes: true, "Reset a session, or only exchange its routes again.",
            ManagementCommand.clearBGP
        ) { if case .clearBGP(let clear) = $0 { clear } else { nil } },
        .init(
            "clear adjacencies", answer: "done", changes: true,
            "End adjacencies of an interior protocol, BFD sessions or sessions with caches; they form anew.",
            ManagementCommand.clearAdjacencies
        ) { if case .clearAdjacencies(let order) = $0 { order } else { nil } },
        .init(
            "offline", answer: "done", changes: true, "Take this controller out of the pair, for an upgrade.",
            { (argument: ReasonArgument) in .offline(reason: argument.reason) }
        ) { if case .offline(let reason) = $0 { ReasonArgument(reason: reason) } else { nil } },
        .init("online", .online, answer: "done", changes: true, "Bring this controller back into the pair."),
        .init("test hang-engine", .testHangEngine, answer: "done", changes: true, "The engine never returns."),
        .init("test trap-engine", .testTrapEngine, answer: "done", changes: true, "The engine crashes the process."),
    ]
}

private struct AddressArgument: Codable, Sendable { var address: String? }
private struct LimitArgument: Codable, Sendable { var limit: Int }
private struct ReasonArgument: Codable, Sendable { var reason: String }

extension ManagementCommand {
    public var description: CommandDescription {
        guard let row = CommandDescription.all.first(where: { $0.matches(self) }) else {
            preconditionFailure("every command has a row")
        }
        return row
    }
    /// The words of the command line.
    public var name: String { description.name }
    /// Whether it changes something: such a command is logged with its author.
    public var isChange: Bool { description.isChange(self) }
}
