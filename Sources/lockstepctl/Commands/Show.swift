import ArgumentParser
import Foundation
import Management

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what the controller knows.",
        subcommands: [
            ShowRedundancy.self, ShowBGP.self, ShowOSPF.self, ShowOSPFv3.self, ShowISIS.self, ShowRIP.self, ShowRIPng.self,
            ShowBFD.self, ShowRPKI.self, ShowRoute.self, ShowTCP.self, ShowInterfaces.self, ShowEvents.self, ShowFIB.self,
            ShowVersion.self,
        ])
}

struct ShowVersion: PlainShow {
    static let command = ManagementCommand.showVersion
    @OptionGroup var form: JSONFlag
}

struct ShowRedundancy: PlainShow {
    static let command = ManagementCommand.showRedundancy
    @OptionGroup var form: JSONFlag
}

struct ShowBGP: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bgp", abstract: "BGP sessions.", subcommands: [ShowBGPSummary.self, ShowBGPNeighbors.self],
        defaultSubcommand: ShowBGPSummary.self)
}

struct ShowBGPSummary: PlainShow {
    static let command = ManagementCommand.showBGPSummary
    @OptionGroup var form: JSONFlag
}

struct ShowBGPNeighbors: ParsableCommand {
    static let configuration = CommandConfiguration(of: "show bgp neighbors", aliases: ["neighbor"])
    @Argument(help: "Address of the neighbor.") var address: String?
    @OptionGroup var form: JSONFlag

    func run() throws {
        guard case .bgpNeighbors(let view) = try Connection.ask(.showBGPNeighbors(address: address)) else { throw unexpected() }
        try form.show(view, view.lines)
    }
}

struct ShowBFD: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "show bfd",
        discussion: "The word sessions: all about each of them; the word counters: packets, and why some were dropped.")
    @Argument(help: "The word sessions or counters.") var word: String?
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if let word, word != "sessions", word != "counters" {
            throw ValidationError("'\(word)' is not expected here; the word can be sessions or counters")
        }
    }

    func run() throws {
        guard case .bfd(let view) = try Connection.ask(.showBFD) else { throw unexpected() }
        try form.show(view, word == "counters" ? view.counterLines : word == "sessions" ? view.detailLines : view.lines)
    }
}

struct ShowRoute: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "show route",
        discussion: """
            With an address or prefix: the route that a packet to it would take; --exact: this prefix only; --within: it and \
            everything within it. \(RoutesView.legend).
            """)
    @Argument(help: "Address or prefix.") var prefix: String?
    @Argument(help: ArgumentHelp("The word detail: every path with its attributes.")) var word: String?
    @Flag(help: "Every path with its attributes.") var detail = false
    @Flag(help: "Only the prefix itself.") var exact = false
    @Flag(help: "The prefix and everything within it.") var within = false
    @Option(help: ArgumentHelp("Only this family: ipv4-unicast or ipv6-unicast.", valueName: "name")) var family: String?
    @Option(help: ArgumentHelp("Routes as this neighbor sent them, before policy.", valueName: "address"))
    var receivedFrom: String?
    @Option(help: ArgumentHelp("Routes as they are sent to this neighbor.", valueName: "address"))
    var advertisedTo: String?
    @Option(help: ArgumentHelp("At most so many prefixes; 0 is all.", valueName: "n")) var limit = 1000
    @Flag(help: "Only the number of prefixes.") var count = false
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if exact, within { throw ValidationError("--exact and --within exclude each other") }
        if exact || within, selected == nil { throw ValidationError("--exact and --within need a prefix") }
        if receivedFrom != nil, advertisedTo != nil {
            throw ValidationError("--received-from and --advertised-to exclude each other")
        }
        if let word, word != "detail" { throw ValidationError("'\(word)' is not expected here; the word can be detail") }
        if limit < 0 { throw ValidationError("--limit is 0 or more") }
    }

    /// `show route detail` has the word in the place of the prefix.
    private var selected: String? { prefix == "detail" && word == nil ? nil : prefix }
    private var isDetailed: Bool { detail || word == "detail" || (prefix == "detail" && word == nil) }

    func run() throws {
        var query = RouteQuery(
            family: family, prefix: selected, match: exact ? .exact : within ? .within : .longest,
            receivedFrom: receivedFrom, advertisedTo: advertisedTo, detail: isDetailed, limit: count ? 1 : 1000)
        var all: [RoutesView.Route] = []
        var left = limit == 0 ? Int.max : limit
        // One connection for each page would be as good, but a page is small against the table.
        while true {
            query.limit = count ? 1 : min(1000, left)
            guard case .routes(let view) = try Connection.ask(.showRoutes(query)) else { throw unexpected() }
            if count {
                return try form.show(["total": view.total], ["\(view.total) prefixes"])
            }
            left -= view.routes.count
            let isLast = view.next == nil || left <= 0 || view.routes.isEmpty
            if form.json {
                all += view.routes
            } else {
                say(isDetailed ? view.detailLines : Array(view.lines.dropFirst(query.after == nil ? 0 : 1)))
            }
            if isLast {
                if form.json { return try form.show(RoutesView(routes: all, next: view.next, total: view.total), []) }
                if view.next != nil, selected == nil || within {
                    complain("(\(view.total) prefixes in all; --limit shows more, --limit 0 all)")
                } else if view.routes.isEmpty, query.after == nil {
                    complain("no route\(selected.map { " to \($0)" } ?? "s")")
                }
                return
            }
            query.after = view.next
        }
    }
}

struct ShowTCP: PlainShow {
    static let command = ManagementCommand.showTCP
    @OptionGroup var form: JSONFlag
}

struct ShowInterfaces: PlainShow {
    static let command = ManagementCommand.showInterfaces
    static let aliases = ["interface"]
    @OptionGroup var form: JSONFlag
}

struct ShowFIB: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fib", abstract: "The forwarding table.", subcommands: [ShowFIBGroups.self, ShowKernelFIB.self],
        defaultSubcommand: ShowKernelFIB.self)
}

struct ShowFIBGroups: PlainShow {
    static let command = ManagementCommand.showFIB
    @OptionGroup var form: JSONFlag
}

struct ShowKernelFIB: PlainShow {
    static let command = ManagementCommand.showKernelFIB
    @OptionGroup var form: JSONFlag
}

struct ShowEvents: ParsableCommand {
    static let configuration = CommandConfiguration(of: "show events")
    @Flag(name: .shortAndLong, help: "Go on with new events until interrupted.") var follow = false
    @Option(name: [.short, .long], help: ArgumentHelp("The newest so many, 1 to 10000.", valueName: "n")) var number = 50
    @Option(help: ArgumentHelp("This and worse: debug, info, notice, warning or alarm.", valueName: "word"))
    var severity = "info"
    @Option(help: ArgumentHelp("Only of this part, like bgp, tcp, srm, rcm, linecard.", valueName: "word")) var component: String?
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if !(1...10_000).contains(number) { throw ValidationError("--number is 1 to 10000") }
        let words = ["debug", "info", "notice", "warning", "alarm"]
        if !words.contains(severity) { throw ValidationError("--severity is one of \(words.joined(separator: ", "))") }
    }

    func run() throws {
        let query = EventQuery(severity: severity, component: component, limit: number, follow: follow)
        func show(_ result: ManagementResult) {
            guard case .events(let view) = result else { return }
            for event in view.events { try? form.showLine(event, event.line) }
        }
        let result = try Connection.ask(.showEvents(query), timeout: follow ? nil : .seconds(10), progress: show)
        guard case .events(let view) = result else { throw unexpected() }
        // What is followed is a JSON value on each line; what is not is one value.
        if follow { show(result) } else { try form.show(view, view.lines) }
    }
}
