import Machine
import Records
import Routing
import Wire

/// What the edge asks of the engine. Work is done in order; each piece answers with one `EngineReport`.
public enum EngineWork: Sendable {
    /// Apply these records, whose indices follow on what was applied before.
    case apply([Record])
    /// Copy the state as it is now. The copy is cheap; encoding it is `EngineSnapshot.encoded()`, for another thread.
    /// - Parameter as: what was agreed with whoever is to read it.
    case snapshot(as: SnapshotFormat = EngineSnapshot.newest)
    /// Replace the state by that of a snapshot.
    /// - Parameter as: what was agreed with whoever wrote it; anything else is refused.
    case restore([UInt8], as: SnapshotFormat = EngineSnapshot.newest)
    /// What a line card must know to go on from here.
    case image
}

/// What the engine answers.
public enum EngineReport: Sendable {
    /// All records up to `upTo` are applied. `digest` is that of the state at exactly that index.
    /// `fib`: what changed in the forwarding table, for the kernel of this host.
    case applied(
        upTo: LogIndex, effects: [IndexedEffect], fib: FIBUpdate, digest: EngineDigest, nextDeadline: Instant?)
    case snapshot(EngineSnapshot)
    case restored(upTo: LogIndex, fib: FIBUpdate, digest: EngineDigest, nextDeadline: Instant?)
    /// The bytes were not the snapshot that was agreed on; the state before is kept.
    case restoreFailed(SnapshotError)
    case image(LineCardImage)
}

/// One rolling digest per part, so that a difference names where it is. Compared at equal indices only.
public struct EngineDigest: Hashable, Sendable {
    /// RIBs and sessions.
    public var bgp: UInt64
    /// Every transmit stream and stream position.
    public var transport: UInt64
    /// Routing table and FIB.
    public var routing: UInt64
    /// Configuration in force, counters of identifiers, random numbers.
    public var system: UInt64

    /// OSPFv2 and OSPFv3: link state databases, neighbours, routes.
    public var ospf: UInt64
    public var isis: UInt64
    /// RIP and RIPng.
    public var rip: UInt64
    /// BFD sessions: numbers, clients, status.
    public var bfd: UInt64
    /// RPKI caches and what they said.
    public var rtr: UInt64

    public init(
        bgp: UInt64 = 0, transport: UInt64 = 0, routing: UInt64 = 0, system: UInt64 = 0, ospf: UInt64 = 0, isis: UInt64 = 0,
        rip: UInt64 = 0, bfd: UInt64 = 0, rtr: UInt64 = 0
    ) {
        self.bgp = bgp
        self.transport = transport
        self.routing = routing
        self.system = system
        self.ospf = ospf
        self.isis = isis
        self.rip = rip
        self.bfd = bfd
        self.rtr = rtr
    }

    /// The parts in a fixed order with their names: "protocols declare redundancy one by one" (DESIGN §6).
    public var parts: [(name: String, value: UInt64)] {
        [
            ("bgp", bgp), ("transport", transport), ("routing", routing), ("system", system), ("ospf", ospf),
            ("isis", isis), ("rip", rip), ("bfd", bfd), ("rtr", rtr),
        ]
    }
}

/// The engine's state at one index: a copy that shares its tables with the engine until either changes.
public struct EngineSnapshot: Sendable {
    /// The sections of `encoded`, each with the forms in which this release reads and writes it.
    public static let sections = EngineState.sections
    /// Each section in its newest form.
    public static let newest = SnapshotFormat(newest: sections)

    public let index: LogIndex
    let state: EngineState
    let format: SnapshotFormat

    init(index: LogIndex, state: EngineState, format: SnapshotFormat) {
        self.index = index
        self.state = state
        self.format = format
    }

    /// The bytes for `EngineWork.restore`. Takes time in proportion to the tables; call it off the engine's thread.
    public func encoded() -> [UInt8] { state.encoded(as: format) }
}
