import Machine
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
    /// Grows with every change of the encoding; another number is refused, never guessed at.
    static let schema: UInt32 = 6
    /// The oldest that it still reads.
    static let oldestSchema: UInt32 = 6

    func encoded() -> [UInt8] {
        var writer = SnapshotWriter()
        writer.write(Self.schema)
        writer.write(applied.value)
        writer.write(now)
        writer.write(epoch.value)
        writer.write(revision)
        // What was decoded from a record can be encoded again.
        writer.writeBlock((try? configuration.encoded()) ?? [])
        writer.write(systemDigest.value)
        transport.write(to: &writer)
        routes.write(to: &writer)
        streams.write(to: &writer)
        interior.write(to: &writer)
        bfd.write(to: &writer)
        firstRoutes.write(to: &writer)
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = SnapshotReader(bytes)
        guard try reader.read(UInt32.self) == Self.schema else { throw DecodeError("snapshot schema", at: 0, .unsupported) }
        applied = LogIndex(try reader.read())
        now = try reader.readInstant()
        epoch = Epoch(try reader.read())
        revision = try reader.read()
        let text = try reader.readBlock(of: UInt8.self)
        do {
            configuration = try RouterConfiguration(decoding: text)
        } catch {
            throw DecodeError("snapshot configuration", at: reader.position, .badValue)
        }
        systemDigest = StateDigest(try reader.read())
        transport = try TransportTable(from: &reader)
        routes = try RouteManager(from: &reader, configuration: configuration)
        streams = try StreamProtocols(from: &reader, configuration: configuration)
        interior = try InteriorGateways(from: &reader)
        bfd = try BFDRegistry(from: &reader, configuration: configuration)
        firstRoutes = try FirstRoutesWatch(from: &reader)
        keyChains = KeyChainWatch(configuration.keyChains ?? [], at: now)
        try reader.expectEnd()
    }
}
