import ArgumentParser
import Management

struct ShowRPKI: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "show rpki",
        discussion: """
            With a prefix or address: the payloads that cover it; with --origin also whether that AS may originate it.
            """)
    @Argument(help: "Prefix or address.") var prefix: String?
    @Option(help: ArgumentHelp("An AS number.", valueName: "as")) var origin: UInt32?
    @OptionGroup var form: JSONFlag

    func validate() throws {
        if origin != nil, prefix == nil { throw ValidationError("--origin needs a prefix") }
    }

    func run() throws {
        guard case .rpki(let view) = try Connection.ask(.showRPKI(RPKIQuery(prefix: prefix, origin: origin))) else {
            throw unexpected()
        }
        try form.show(view, view.lines)
    }
}

struct ClearRPKI: ClearAdjacency {
    static let routing = "rpki"
    static let abstract = "Begin anew with a cache; what it said stays in force until it has said all again."
    @Argument(help: "Address of the cache, or * for all.") var neighbor: String
}
