import ArgumentParser
import Management

struct ShowOSPF: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ospf", abstract: "Neighbors, interfaces, database, routes and calculations of OSPFv2.")
    @OptionGroup var what: OSPFArguments

    func run() throws { try what.show(.ospf) }
}

struct ShowOSPFv3: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ospfv3", abstract: "Neighbors, interfaces, database, routes and calculations of OSPFv3.")
    @Flag(name: .customLong("ipv4"), help: "The instance for IPv4 (RFC 5838).") var isIPv4 = false
    @OptionGroup var what: OSPFArguments

    func run() throws { try what.show(isIPv4 ? .ospfv3ipv4 : .ospfv3) }
}

struct OSPFArguments: ParsableArguments {
    @Argument(help: "summary, neighbors, interfaces, database, routes or spf.") var part: OSPFPart = .neighbors
    @Argument(
        help: "One neighbor, interface or prefix; with database an originator or a type of LSA; or the word detail.")
    var only: String?
    @Flag(help: "Everything about neighbors and interfaces; what LSAs say.") var detail = false
    @OptionGroup var form: JSONFlag

    /// Page after page: a database may be large.
    func show(_ instance: OSPFQuery.Instance) throws {
        let isOne = only != nil && only != "detail" && (part == .neighbors || part == .interfaces)
        let isDetailed = detail || only == "detail" || isOne
        var query = OSPFQuery(
            instance, part.asked, only: only == "detail" ? nil : only, detail: isDetailed,
            limit: isDetailed ? 1000 : 10_000)
        var whole: OSPFView?
        while true {
            guard case .ospf(let page) = try Connection.ask(.showOSPF(query)) else { throw unexpected() }
            if whole == nil {
                whole = page
            } else {
                whole?.lsas?.append(contentsOf: page.lsas ?? [])
                whole?.routes?.append(contentsOf: page.routes ?? [])
                whole?.next = page.next
            }
            guard let next = page.next else { break }
            query.after = next
        }
        if let whole { try form.show(whole, whole.lines(detail: isDetailed)) }
    }
}

enum OSPFPart: String, ExpressibleByArgument, CaseIterable {
    case summary, neighbors, interfaces, database, routes, spf
    var asked: OSPFQuery.Part {
        switch self {
        case .summary: .summary
        case .neighbors: .neighbors
        case .interfaces: .interfaces
        case .database: .database
        case .routes: .routes
        case .spf: .spf
        }
    }
}

struct ClearOSPF: ClearAdjacency {
    static let routing = "ospf"
    static let abstract = "End OSPFv2 adjacencies; they form anew."
    @Argument(help: "Address or Router ID of the neighbor, or * for all.") var neighbor: String
}

struct ClearOSPFv3: ClearAdjacency {
    static let routing = "ospfv3"
    static let abstract = "End OSPFv3 adjacencies, of both address families; they form anew."
    @Argument(help: "Address or Router ID of the neighbor, or * for all.") var neighbor: String
}

struct ClearBFD: ClearAdjacency {
    static let routing = "bfd"
    static let abstract = "End BFD sessions; they begin anew, and nobody takes it for a failure."
    @Argument(help: "Address of the neighbor, or * for all.") var neighbor: String
}
