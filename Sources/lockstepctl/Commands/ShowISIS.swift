import ArgumentParser
import Management

struct ShowISIS: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "show isis")
    @Argument(help: "summary, neighbors, interfaces, database, routes, spf or hostnames.") var part: ISISPart = .neighbors
    @Argument(help: "One neighbor or LSP, by ID or host name; one prefix; or the word detail.") var only: String?
    @Flag(help: "Everything about neighbors; what LSPs say.") var detail = false
    @Option(help: ArgumentHelp("Only this level: 1 or 2.", valueName: "n")) var level: Int?
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if let level, level != 1, level != 2 { throw ValidationError("--level is 1 or 2") }
    }

    /// Page after page: a database may be large.
    func run() throws {
        let isDetailed = detail || only == "detail" || part == .neighbors && only != nil
        var query = ISISQuery(
            part.asked, level: level, only: only == "detail" ? nil : only, detail: isDetailed,
            limit: isDetailed ? 1000 : 10_000)
        var whole: ISISView?
        while true {
            guard case .isis(let page) = try Connection.ask(.showISIS(query)) else { throw unexpected() }
            if whole == nil {
                whole = page
            } else {
                whole?.lsps?.append(contentsOf: page.lsps ?? [])
                whole?.routes?.append(contentsOf: page.routes ?? [])
                whole?.next = page.next
            }
            guard let next = page.next else { break }
            query.after = next
        }
        if let whole { try form.show(whole, whole.lines(detail: isDetailed)) }
    }
}

enum ISISPart: String, ExpressibleByArgument, CaseIterable {
    case summary, neighbors, interfaces, database, routes, spf, hostnames
    var asked: ISISQuery.Part {
        switch self {
        case .summary: .summary
        case .neighbors: .neighbors
        case .interfaces: .interfaces
        case .database: .database
        case .routes: .routes
        case .spf: .spf
        case .hostnames: .hostnames
        }
    }
}

struct ClearISIS: ClearAdjacency {
    static let routing = "isis"
    static let abstract = "End IS-IS adjacencies; they form anew."
    @Argument(help: "System ID, host name or address of the neighbor, or * for all.") var neighbor: String
}
