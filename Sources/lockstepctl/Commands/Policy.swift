import ArgumentParser
import Management

struct Policy: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "What policies do with routes.", subcommands: [PolicyTest.self, PolicyExplain.self])
}

struct PolicyTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "policy test",
        discussion: "The policies are those of the configuration in force. Nothing changes.")
    @Argument(help: "The prefix.") var prefix: String
    @Argument(help: "Policies, tried in order.") var policies: [String]
    @Option(help: ArgumentHelp("AS numbers, the neighbor's first: \"64496 64500\".", valueName: "path")) var asPath = ""
    @Option(help: ArgumentHelp("igp, egp or incomplete.", valueName: "word")) var origin = "igp"
    @Option(help: ArgumentHelp("Our own address otherwise.", valueName: "address")) var nextHop: String?
    @Option(help: ArgumentHelp("MULTI_EXIT_DISC.", valueName: "n")) var med: UInt32?
    @Option(help: ArgumentHelp("LOCAL_PREF.", valueName: "n")) var localPreference: UInt32?
    @Option(
        name: .customLong("community"),
        help: ArgumentHelp("A:B, A:B:C, rt:A:B or a name; may be repeated.", valueName: "community"))
    var communities: [String] = []
    @Option(help: ArgumentHelp("local, external or internal.", valueName: "word")) var source = "external"
    @Option(help: ArgumentHelp("On import from this neighbor.", valueName: "address")) var from: String?
    @Option(help: ArgumentHelp("On export to this neighbor.", valueName: "address")) var to: String?
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if from != nil, to != nil { throw ValidationError("--from and --to exclude each other") }
    }

    func run() throws {
        var query = PolicyTestQuery(policies: policies, prefix: prefix)
        query.asPath = asPath
        query.origin = origin
        query.nextHop = nextHop
        query.med = med
        query.localPreference = localPreference
        query.communities = communities
        query.source = source
        query.neighbor = from ?? to
        query.isExport = to != nil
        guard case .policy(let view) = try Connection.ask(.policyTest(query)) else { throw unexpected() }
        try form.show(view, view.lines)
    }
}

struct PolicyExplain: ParsableCommand {
    static let configuration = CommandConfiguration(of: "policy explain")
    @Argument(help: "The prefix.") var prefix: String
    @Option(help: ArgumentHelp("As this neighbor sent it.", valueName: "address")) var from: String?
    @Option(help: ArgumentHelp("The best path, as this neighbor would get it.", valueName: "address")) var to: String?
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if (from == nil) == (to == nil) { throw ValidationError("write either --from or --to with a neighbor's address") }
    }

    func run() throws {
        let query = PolicyExplainQuery(prefix: prefix, from: from, to: to)
        guard case .policy(let view) = try Connection.ask(.policyExplain(query)) else { throw unexpected() }
        try form.show(view, view.lines)
    }
}
