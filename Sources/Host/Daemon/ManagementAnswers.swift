import Configuration
import Controller
import Datastore
import Engine
import Foundation
import Management
import Records
import Redundancy
import Wire

/// Answers the operator by asking the threads: the edge for redundancy and TCP, the engine for BGP and routes, the
/// datastore for history. Nothing here runs on the edge or the engine for longer than a look.
final class ManagementAnswers: ManagementHandler {
    let file: ControllerFile
    let edge: Edge
    let engine: EngineThread
    let clerk: Clerk
    let datastore: Datastore
    let forwarding: Forwarding
    let desk: ConfigurationDesk
    let started = Date()

    init(
        file: ControllerFile, edge: Edge, engine: EngineThread, clerk: Clerk, datastore: Datastore, forwarding: Forwarding
    ) {
        self.forwarding = forwarding
        self.file = file
        self.edge = edge
        self.engine = engine
        self.clerk = clerk
        self.datastore = datastore
        desk = ConfigurationDesk(
            router: LiveConfigurationRouter(edge: edge, engine: engine, clerk: clerk), datastore: datastore,
            controller: file.controller, isAlone: file.isAlone)
    }

    func handle(
        _ command: ManagementCommand, author: String,
        progress: @Sendable (ManagementResult) async throws -> Void
    ) async -> ManagementResult {
        if command.isChange {
            clerk.note(
                Event(.notice, "management", "\(author.isEmpty ? "somebody" : String(author.prefix(64))): \(command.name)"))
        }
        do {
            return try await answer(command, author: author, progress: progress)
        } catch let failure as ManagementFailure {
            return .failure(failure)
        } catch {
            return .failure(ManagementFailure(.failed, "\(error)"))
        }
    }

    private func answer(
        _ command: ManagementCommand, author: String, progress: @Sendable (ManagementResult) async throws -> Void
    ) async throws -> ManagementResult {
        switch command {
        case .showVersion: .version(await version())
        case .showRedundancy: .redundancy(try await redundancy())
        case .showBGPSummary: .bgpSummary(try await bgpSummary())
        case .showBGPNeighbors(let address): .bgpNeighbors(try await bgpNeighbors(address))
        case .showBFD: .bfd(try await bfd())
        case .showRoutes(let query): .routes(try await routes(query))
        case .showISIS(let query): .isis(try await isis(query))
        case .showRIP(let query): .rip(try await rip(query))
        case .showRPKI(let query): .rpki(try await rpki(query))
        case .policyTest(let query): .policy(try await policyTest(query))
        case .policyExplain(let query): .policy(try await policyExplain(query))
        case .showTCP: .tcp(try await tcp())
        case .showInterfaces: .interfaces(try await interfaces())
        case .showFIB: .fib(try await fib())
        case .showOSPF(let query): .ospf(try await ospf(query))
        case .showKernelFIB: .kernelFIB(try await kernelFIB())
        case .showEvents(let query): .events(try await events(query, progress))
        case .configurationShow(let query): .configuration(try await configuration(query))
        case .configurationCheck(let text): .configurationCheck(await check(text))
        case .configurationApply(let apply): .configurationApply(try await self.apply(apply, author: author))
        case .configurationHistory(let limit): .configurationHistory(await history(limit))
        case .configurationDiff(let query): .configurationDiff(try await difference(query))
        case .configurationRollback(let rollback): .configurationApply(try await self.rollback(rollback, author: author))
        case .switchover(let order): .switchover(try await switchover(order, progress))
        case .clearBGP(let clear): .done(try await self.clear(clear))
        case .clearAdjacencies(let order): .done(try await self.clear(order))
        case .offline(let reason): .done(try await offline(reason, progress))
        case .online: .done(try await request(.goOnline))
        case .testHangEngine: .done(try await request(.command(.testHang)))
        case .testTrapEngine: .done(try await request(.command(.testTrap)))
        }
    }

    func request(_ request: OperatorRequest) async throws -> String {
        switch await clerk.ask(request) {
        case .done(let text): return text
        case .refused(let reason): throw ManagementFailure(.refused, reason)
        }
    }

    private func version() async -> VersionView {
        // Of a release one wants to know even when its edge hangs.
        let spoken = try? await edge.look(timeout: .seconds(1)) { controller, _ in controller.agreement }
        return VersionView(
            release: Release.version, tables: Datastore.tablesVersion, introduction: Int(Hello.protocolVersion),
            formats: ControllerSettings.formats.parts.map { part in
                .init(
                    name: part.name, oldest: Int(part.oldest), newest: Int(part.newest), agreed: spoken.map { Int($0[part.name]) }
                )
            },
            controller: file.controller.letter, name: file.name, pid: getpid(), started: started)
    }

    private func clear(_ clear: ClearBGP) async throws -> String {
        var addresses = [clear.address]
        if clear.address == "*" {
            addresses = try await engine.inspect { engine in
                engine.bgp.neighborSummaries.map { $0.address.description }
            }
        } else {
            guard let address = IPAddress(clear.address) else {
                throw ManagementFailure(.badRequest, "'\(clear.address.prefix(64))' is no address of a neighbour")
            }
            let isKnown = try await engine.inspect { engine in
                engine.bgp.neighborSummaries.contains { $0.address == address }
            }
            guard isKnown else { throw ManagementFailure(.notFound, "there is no neighbour \(address)") }
            addresses = [address.description]
        }
        for address in addresses {
            switch clear.mode {
            case .hard: _ = try await request(.command(.clearNeighbor(address: address, reason: clear.message)))
            case .softIn: _ = try await request(.command(.softClearIn(address: address)))
            case .softOut: _ = try await request(.command(.softClearOut(address: address)))
            case .soft:
                _ = try await request(.command(.softClearIn(address: address)))
                _ = try await request(.command(.softClearOut(address: address)))
            }
        }
        return addresses.count == 1 ? "cleared \(addresses[0])" : "cleared \(addresses.count) neighbours"
    }

    private func events(
        _ query: EventQuery, _ progress: @Sendable (ManagementResult) async throws -> Void
    ) async throws -> EventsView {
        guard let severity = Event.Severity.allCases.first(where: { "\($0)" == query.severity }) else {
            throw ManagementFailure(.badRequest, "'\(query.severity.prefix(32))' is no severity")
        }
        let live = query.follow ? clerk.follow() : nil
        let selection = EventSelection(
            controller: query.after == nil ? nil : file.controller, after: query.after, severity: severity,
            component: query.component, limit: max(1, min(10_000, query.limit)))
        let stored = await datastore.events(selection)
        let dropped = await datastore.status.droppedEvents
        let view = EventsView(
            events: stored.map(Self.entry), last: stored.filter { $0.controller == file.controller }.last?.number ?? 0,
            dropped: dropped)
        guard let live else { return view }
        try await progress(.events(view))
        var last = view.last
        for await entry in live {
            guard entry.number > last, entry.event.severity >= severity,
                query.component == nil || query.component == entry.event.component
            else { continue }
            last = entry.number
            try await progress(.events(EventsView(events: [Self.entry(entry)], last: last)))
        }
        return EventsView(events: [], last: last, dropped: dropped)
    }

    private static func entry(_ entry: EventEntry) -> EventsView.Entry {
        EventsView.Entry(
            number: entry.number, time: entry.time.date, controller: entry.controller.letter,
            severity: "\(entry.event.severity)", component: entry.event.component, message: entry.event.message)
    }
}

extension ControllerID {
    /// As configuration files and scripts spell it.
    var letter: String { self == .a ? "a" : "b" }
}
