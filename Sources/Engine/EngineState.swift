import BGP
import ISIS
import Machine
import OSPF
import RIP
import RTR
import Records
import Routing
import Wire

/// Everything a peer would notice if it were lost, as one value: flat tables that are shared with a copy until either
/// side writes, so that a copy is the snapshot (DESIGN §6, §11).
struct EngineState: Sendable {
    /// The last record applied.
    var applied: LogIndex = .zero
    /// Time of that record.
    var now: Instant = .zero
    var epoch: Epoch = .zero
    var revision: UInt64 = 0
    var configuration = RouterConfiguration()
    var transport: TransportTable
    var neighbors = NeighborTable()
    var routes: RouteManager
    var streams: StreamProtocols
    var interior: InteriorGateways
    var bfd: BFDRegistry
    /// Whether the table holds all that there was to be learnt after a cold start.
    var firstRoutes = FirstRoutesWatch()
    /// What is told of key chains. Derived.
    var keyChains = KeyChainWatch()
    /// Configuration, revisions and masterships, in order.
    var systemDigest = StateDigest()

    /// - Parameter seed: random per pair. Hash seeds, random numbers and the secret of RFC 6528 come from it.
    init(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        transport = TransportTable(sequenceSecret: random.next())
        routes = RouteManager(seed: random.next())
        let bgp = random.next()
        interior = InteriorGateways(random: &random)
        bfd = BFDRegistry(seed: random.next())
        streams = StreamProtocols(bgp: bgp, others: random.next())
    }

    var digest: EngineDigest {
        EngineDigest(
            bgp: streams.bgpDigest.value, transport: transport.digest.value, routing: routes.digest.value,
            system: systemDigest.value, ospf: interior.ospfDigest.value, isis: interior.isis.digest.value,
            rip: interior.ripDigest.value, bfd: bfd.digest.value,
            rtr: streams.rtr.digest.value)
    }
}

extension EngineState {
    /// What the state itself holds beside its parts.
    private static let system = SnapshotSection(1, "system", schemas: 1...1)
    private static let configured = SnapshotSection(2, "configuration", schemas: RouterConfiguration.schemas)

    /// All sections of a snapshot, in the order in which they are written. A number that was once here is not given again.
    static let sections = [
        system, configured, TransportTable.section, RouteManager.section, StreamProtocols.section, BGPInstance.section,
        RTRInstance.section, InteriorGateways.section, OSPFInstance.section, ISISInstance.section, RIPInstance.section,
        BFDRegistry.section, FirstRoutesWatch.section, NeighborTable.section,
    ]

    func encoded(as format: SnapshotFormat = EngineSnapshot.newest) -> [UInt8] {
        var writer = SnapshotWriter(as: format)
        writer.section(Self.system) { w in
            w.write(applied.value)
            w.write(now)
            w.write(epoch.value)
            w.write(revision)
            w.write(systemDigest.value)
        }
        // What was decoded from a record can be encoded again.
        writer.section(Self.configured) { $0.writeBlock((try? configuration.encoded()) ?? []) }
        writer.section(TransportTable.section) { transport.write(to: &$0) }
        writer.section(RouteManager.section) { routes.write(to: &$0) }
        streams.write(to: &writer)
        interior.write(to: &writer)
        writer.section(BFDRegistry.section) { bfd.write(to: &$0) }
        writer.section(FirstRoutesWatch.section) { firstRoutes.write(to: &$0) }
        writer.section(NeighborTable.section) { neighbors.write(to: &$0) }
        return writer.bytes
    }

    /// - Throws: what is not as `format` says, and where.
    init(decoding bytes: [UInt8], as format: SnapshotFormat = EngineSnapshot.newest) throws(SnapshotError) {
        let sections = try SnapshotSections(bytes, as: format)
        (applied, now, epoch, revision, systemDigest) = try sections.read(Self.system) { r throws(DecodeError) in
            let applied = LogIndex(try r.read()), now = try r.readInstant(), epoch = Epoch(try r.read())
            let revision: UInt64 = try r.read()
            return (applied, now, epoch, revision, StateDigest(try r.read()))
        }
        let configuration = try sections.read(Self.configured) { r throws(DecodeError) in
            let octets = try r.readBlock(of: UInt8.self)
            do {
                return try RouterConfiguration(decoding: octets)
            } catch {
                throw DecodeError("configuration", at: r.position, .badValue)
            }
        }
        self.configuration = configuration
        transport = try sections.read(TransportTable.section) { r throws(DecodeError) in try TransportTable(from: &r) }
        routes = try sections.read(RouteManager.section) { r throws(DecodeError) in
            try RouteManager(from: &r, configuration: configuration)
        }
        streams = try StreamProtocols(from: sections, configuration: configuration)
        interior = try InteriorGateways(from: sections)
        bfd = try sections.read(BFDRegistry.section) { r throws(DecodeError) in
            try BFDRegistry(from: &r, configuration: configuration)
        }
        firstRoutes = try sections.read(FirstRoutesWatch.section) { r throws(DecodeError) in try FirstRoutesWatch(from: &r) }
        neighbors = try sections.read(NeighborTable.section) { r throws(DecodeError) in try NeighborTable(from: &r) }
        keyChains = KeyChainWatch(configuration.keyChains ?? [], at: now)
    }
}
