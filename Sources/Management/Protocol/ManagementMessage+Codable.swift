import Foundation

// The names on the wire, in one place: scripts read them, so they change only with the protocol's version.

private enum Key: String, CodingKey {
    case version, id, author, command, arguments, final, type, value
}
private struct AddressArgument: Codable { var address: String? }
private struct LimitArgument: Codable { var limit: Int }
private struct ReasonArgument: Codable { var reason: String }

extension ManagementCommand {
    /// The words of the command line.
    public var name: String {
        switch self {
        case .showVersion: "show version"
        case .showRedundancy: "show redundancy"
        case .showBGPSummary: "show bgp summary"
        case .showBGPNeighbors: "show bgp neighbors"
        case .showBFD: "show bfd"
        case .showRoutes: "show route"
        case .showISIS: "show isis"
        case .showRIP: "show rip"
        case .showTCP: "show tcp"
        case .showInterfaces: "show interfaces"
        case .showFIB: "show fib groups"
        case .showOSPF: "show ospf"
        case .showKernelFIB: "show fib kernel"
        case .showEvents: "show events"
        case .configurationShow: "config show"
        case .configurationCheck: "config check"
        case .configurationApply: "config apply"
        case .configurationHistory: "config history"
        case .configurationDiff: "config diff"
        case .configurationRollback: "config rollback"
        case .switchover: "switchover"
        case .clearBGP: "clear bgp"
        case .clearAdjacencies: "clear adjacencies"
        case .offline: "offline"
        case .online: "online"
        case .testHangEngine: "test hang-engine"
        case .testTrapEngine: "test trap-engine"
        }
    }
}

extension ManagementRequest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        version = try container.decode(Int.self, forKey: .version)
        id = try container.decode(UInt64.self, forKey: .id)
        author = try container.decodeIfPresent(String.self, forKey: .author) ?? ""
        func arguments<T: Decodable>(_ type: T.Type) throws -> T { try container.decode(type, forKey: .arguments) }
        let name = try container.decode(String.self, forKey: .command)
        switch name {
        case "show version": command = .showVersion
        case "show redundancy": command = .showRedundancy
        case "show bgp summary": command = .showBGPSummary
        case "show bgp neighbors":
            command = .showBGPNeighbors(
                address: try container.decodeIfPresent(AddressArgument.self, forKey: .arguments)?.address)
        case "show bfd": command = .showBFD
        case "show route": command = .showRoutes(try arguments(RouteQuery.self))
        case "show isis": command = .showISIS(try arguments(ISISQuery.self))
        case "show rip": command = .showRIP(try arguments(RIPQuery.self))
        case "show tcp": command = .showTCP
        case "show interfaces": command = .showInterfaces
        case "show fib groups": command = .showFIB
        case "show ospf": command = .showOSPF(try arguments(OSPFQuery.self))
        case "show fib kernel": command = .showKernelFIB
        case "show events": command = .showEvents(try arguments(EventQuery.self))
        case "config show": command = .configurationShow(try arguments(ConfigurationQuery.self))
        case "config check": command = .configurationCheck(try arguments(ConfigurationText.self))
        case "config apply": command = .configurationApply(try arguments(ConfigurationApply.self))
        case "config history": command = .configurationHistory(limit: try arguments(LimitArgument.self).limit)
        case "config diff": command = .configurationDiff(try arguments(ConfigurationDiffQuery.self))
        case "config rollback": command = .configurationRollback(try arguments(ConfigurationRollback.self))
        case "switchover": command = .switchover(try arguments(SwitchoverOrder.self))
        case "clear bgp": command = .clearBGP(try arguments(ClearBGP.self))
        case "clear adjacencies": command = .clearAdjacencies(try arguments(ClearAdjacencies.self))
        case "offline": command = .offline(reason: try arguments(ReasonArgument.self).reason)
        case "online": command = .online
        case "test hang-engine": command = .testHangEngine
        case "test trap-engine": command = .testTrapEngine
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .command, in: container, debugDescription: "unknown command '\(name.prefix(64))'")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(version, forKey: .version)
        try container.encode(id, forKey: .id)
        try container.encode(author, forKey: .author)
        try container.encode(command.name, forKey: .command)
        switch command {
        case .showVersion, .showRedundancy, .showBGPSummary, .showTCP, .showInterfaces, .showFIB, .showKernelFIB, .showBFD,
            .online, .testHangEngine,
            .testTrapEngine:
            break
        case .showBGPNeighbors(let address): try container.encode(AddressArgument(address: address), forKey: .arguments)
        case .showRoutes(let query): try container.encode(query, forKey: .arguments)
        case .showISIS(let query): try container.encode(query, forKey: .arguments)
        case .showOSPF(let query): try container.encode(query, forKey: .arguments)
        case .clearAdjacencies(let order): try container.encode(order, forKey: .arguments)
        case .showRIP(let query): try container.encode(query, forKey: .arguments)
        case .showEvents(let query): try container.encode(query, forKey: .arguments)
        case .configurationShow(let query): try container.encode(query, forKey: .arguments)
        case .configurationCheck(let text): try container.encode(text, forKey: .arguments)
        case .configurationApply(let apply): try container.encode(apply, forKey: .arguments)
        case .configurationHistory(let limit): try container.encode(LimitArgument(limit: limit), forKey: .arguments)
        case .configurationDiff(let query): try container.encode(query, forKey: .arguments)
        case .configurationRollback(let rollback): try container.encode(rollback, forKey: .arguments)
        case .switchover(let order): try container.encode(order, forKey: .arguments)
        case .clearBGP(let clear): try container.encode(clear, forKey: .arguments)
        case .offline(let reason): try container.encode(ReasonArgument(reason: reason), forKey: .arguments)
        }
    }
}

extension ManagementResponse: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        version = try container.decode(Int.self, forKey: .version)
        id = try container.decode(UInt64.self, forKey: .id)
        isFinal = try container.decode(Bool.self, forKey: .final)
        func value<T: Decodable>(_ type: T.Type) throws -> T { try container.decode(type, forKey: .value) }
        let name = try container.decode(String.self, forKey: .type)
        switch name {
        case "version": result = .version(try value(VersionView.self))
        case "redundancy": result = .redundancy(try value(RedundancyView.self))
        case "bgp-summary": result = .bgpSummary(try value(BGPSummaryView.self))
        case "bgp-neighbors": result = .bgpNeighbors(try value(BGPNeighborsView.self))
        case "bfd": result = .bfd(try value(BFDView.self))
        case "routes": result = .routes(try value(RoutesView.self))
        case "isis": result = .isis(try value(ISISView.self))
        case "rip": result = .rip(try value(RIPView.self))
        case "tcp": result = .tcp(try value(TCPView.self))
        case "interfaces": result = .interfaces(try value(InterfacesView.self))
        case "fib": result = .fib(try value(FIBView.self))
        case "ospf": result = .ospf(try value(OSPFView.self))
        case "kernel-fib": result = .kernelFIB(try value(KernelFIBView.self))
        case "events": result = .events(try value(EventsView.self))
        case "configuration": result = .configuration(try value(ConfigurationView.self))
        case "configuration-check": result = .configurationCheck(try value(ConfigurationCheckView.self))
        case "configuration-apply": result = .configurationApply(try value(ConfigurationApplyView.self))
        case "configuration-history": result = .configurationHistory(try value(ConfigurationHistoryView.self))
        case "configuration-diff": result = .configurationDiff(try value(ConfigurationDiffView.self))
        case "switchover": result = .switchover(try value(SwitchoverView.self))
        case "step": result = .step(try value(StepView.self))
        case "done": result = .done(try value(String.self))
        case "failure": result = .failure(try value(ManagementFailure.self))
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "unknown type '\(name.prefix(64))'")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(version, forKey: .version)
        try container.encode(id, forKey: .id)
        try container.encode(isFinal, forKey: .final)
        func value(_ name: String, _ value: some Encodable) throws {
            try container.encode(name, forKey: .type)
            try container.encode(value, forKey: .value)
        }
        switch result {
        case .version(let view): try value("version", view)
        case .redundancy(let view): try value("redundancy", view)
        case .bgpSummary(let view): try value("bgp-summary", view)
        case .bgpNeighbors(let view): try value("bgp-neighbors", view)
        case .bfd(let view): try value("bfd", view)
        case .routes(let view): try value("routes", view)
        case .isis(let view): try value("isis", view)
        case .rip(let view): try value("rip", view)
        case .tcp(let view): try value("tcp", view)
        case .interfaces(let view): try value("interfaces", view)
        case .fib(let view): try value("fib", view)
        case .ospf(let view): try value("ospf", view)
        case .kernelFIB(let view): try value("kernel-fib", view)
        case .events(let view): try value("events", view)
        case .configuration(let view): try value("configuration", view)
        case .configurationCheck(let view): try value("configuration-check", view)
        case .configurationApply(let view): try value("configuration-apply", view)
        case .configurationHistory(let view): try value("configuration-history", view)
        case .configurationDiff(let view): try value("configuration-diff", view)
        case .switchover(let view): try value("switchover", view)
        case .step(let view): try value("step", view)
        case .done(let text): try value("done", text)
        case .failure(let failure): try value("failure", failure)
        }
    }
}
