import ArgumentParser
import Management

struct ShowRIP: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rip", abstract: "Neighbors, interfaces and routes of RIP.")
    @Argument(help: "neighbors, interfaces or routes.") var part: RIPPart = .neighbors
    @Argument(help: "With routes: only this prefix.") var prefix: String?
    @OptionGroup var form: JSONFlag

    func run() throws { try showRIP("rip", part, prefix, form) }
}

struct ShowRIPng: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ripng", abstract: "Neighbors, interfaces and routes of RIPng.")
    @Argument(help: "neighbors, interfaces or routes.") var part: RIPPart = .neighbors
    @Argument(help: "With routes: only this prefix.") var prefix: String?
    @OptionGroup var form: JSONFlag

    func run() throws { try showRIP("ripng", part, prefix, form) }
}

enum RIPPart: String, ExpressibleByArgument, CaseIterable {
    case neighbors, interfaces, routes
    var asked: RIPQuery.Part {
        switch self {
        case .neighbors: .neighbors
        case .interfaces: .interfaces
        case .routes: .routes
        }
    }
}

/// Page after page: a table may be large.
private func showRIP(_ name: String, _ part: RIPPart, _ prefix: String?, _ form: JSONFlag) throws {
    var query = RIPQuery(name: name, part: part.asked, prefix: prefix, limit: 10_000)
    var whole: RIPView?
    while true {
        guard case .rip(let page) = try Connection.ask(.showRIP(query)) else { throw unexpected() }
        if whole?.routes != nil, let routes = page.routes {
            whole?.routes?.routes.append(contentsOf: routes.routes)
            whole?.routes?.next = routes.next
        } else {
            whole = page
        }
        guard let next = page.routes?.next else { break }
        query.after = next
    }
    if let whole { try form.show(whole, whole.lines) }
}

struct ClearRIP: ClearAdjacency {
    static let routing = "rip"
    static let abstract = "Forget the routes of RIP neighbors and ask for them again."
    @Argument(help: "Address of the neighbor, or * for all.") var neighbor: String
}

struct ClearRIPng: ClearAdjacency {
    static let routing = "ripng"
    static let abstract = "Forget the routes of RIPng neighbors and ask for them again."
    @Argument(help: "Link-local address of the neighbor, or * for all.") var neighbor: String
}
