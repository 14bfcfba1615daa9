import BGP
import ISIS
import Machine
import OSPF
import RIP
import RTR
import Records
import Routing
import Wire

/// The deterministic state machine that both controllers run on the same log (DESIGN §1).
///
/// How a record goes through: it is noted in `applying`, its time becomes the engine's, timers that are due fire, its
/// body reaches the protocol it belongs to (`EngineState+Records.swift`), the protocol's wishes become effects under the
/// record's index (`EngineState+Settle.swift`), best routes go into the routing table manager (`Routes/`).
///
/// It has one owner: the engine thread of the host, or the simulator.
public struct Engine: ~Copyable {
    var state: EngineState
    /// Where the index of the record being applied is noted before work on it begins, so that a signal handler can
    /// tell the twin which record was fatal (DESIGN §7). 0 while none is. Owned by the caller.
    private let applying: UnsafeMutablePointer<UInt64>?
    /// As every protocol has it when nothing has met a trap.
    private var watch = PacketWatch()

    /// The first record that would have ended the process, and the message in it: see `TestingConfiguration.notesTrap`.
    public private(set) var trapMet: (index: LogIndex, message: UInt16)?

    /// - Parameters:
    ///   - seed: random per pair; a standby's is replaced by that of the snapshot.
    ///   - applying: two words, for the record's index and for the message in it; outlive the engine; may be nil.
    public init(seed: UInt64, applying: UnsafeMutablePointer<UInt64>? = nil) {
        state = EngineState(seed: seed)
        unsafe self.applying = applying
        unsafe watch.progress = ProgressMark(applying.map { unsafe $0 + 1 })
        state.streams.setWatch(watch)
        state.interior.setWatch(watch)
    }

    /// Failure injection for every protocol but BGP, whose configuration has its own: see `PacketWatch`.
    /// - Parameters:
    ///   - ending: of a packet that is fatal.
    ///   - content: of an LSA, LSP, entry or PDU that is.
    public mutating func plantTrap(ending: [UInt8], content: [UInt8]) {
        watch.fatalEnding = ending
        watch.fatalContent = content
        state.streams.setWatch(watch)
        state.interior.setWatch(watch)
    }

    /// Records must be given in order and without gaps.
    public mutating func perform(_ work: EngineWork) -> EngineReport {
        switch work {
        case .apply(let records):
            var effects: [IndexedEffect] = []
            for record in records {
                precondition(record.index == state.applied.next, "records are applied in order and without gaps")
                unsafe applying?[1] = 0
                unsafe applying?.pointee = record.index.value
                state.apply(record, into: &effects)
                if trapMet == nil {
                    if let message = state.streams.metTrap { trapMet = (record.index, UInt16(clamping: message)) }
                    if let message = state.interior.trapMessage { trapMet = (record.index, UInt16(clamping: message)) }
                }
            }
            unsafe applying?.pointee = 0
            return .applied(
                upTo: state.applied, effects: effects, fib: state.takeFIBUpdate(), digest: state.digest,
                nextDeadline: nextDeadline)
        case .snapshot(let format):
            return .snapshot(EngineSnapshot(index: state.applied, state: state, format: format))
        case .restore(let bytes, let format):
            do {
                state = try EngineState(decoding: bytes, as: format)
                state.streams.setWatch(watch)
                state.interior.setWatch(watch)
                return .restored(
                    upTo: state.applied, fib: state.completeFIBUpdate, digest: state.digest, nextDeadline: nextDeadline)
            } catch {
                return .restoreFailed(error)
            }
        case .image:
            return .image(image)
        }
    }

    public var applied: LogIndex { state.applied }
    public var digest: EngineDigest { state.digest }
    public var nextDeadline: Instant? {
        [
            state.streams.nextDeadline, state.interior.nextDeadline, state.bfd.nextDeadline, state.firstRoutes.nextDeadline,
            state.keyChains.nextDeadline,
        ].compactMap { $0 }.min()
    }

    private var image: LineCardImage {
        var image = LineCardImage()
        image.index = state.applied
        image.interfaces = state.configuration.interfaces
        image.listeners = state.listeners
        image.gateways = state.routes.gateways
        image.subscriptions = state.interior.subscriptions
        image.neighbors = state.neighbors.bindings
        image.bfdSessions = state.bfd.sessions
        state.transport.fill(&image, at: state.now)
        return image
    }

    // MARK: views for management

    public var configuration: RouterConfiguration { state.configuration }
    public var revision: UInt64 { state.revision }
    public var now: Instant { state.now }
    /// The router's own BGP process.
    public var bgp: BGPInstance { state.streams.bgp }
    public var rtr: RTRInstance { state.streams.rtr }
    /// A further BGP process; `nil` if none of this number was ever configured.
    public func bgpProcess(_ number: UInt8) -> BGPInstance? {
        state.streams.processes.first { $0.id.value == number }?.bgp
    }
    public var ospf: OSPFInstance { state.interior.ospf }
    public var ospfv3: OSPFInstance { state.interior.ospfv3 }
    public var ospfv3IPv4: OSPFInstance { state.interior.ospfv3IPv4 }
    public var isis: ISISInstance { state.interior.isis }
    public var rip: RIPInstance { state.interior.rip }
    public var ripng: RIPInstance { state.interior.ripng }
    public var ipv4Routes: RoutingTable<IPv4Prefix> { state.routes.ipv4 }
    public var ipv6Routes: RoutingTable<IPv6Prefix> { state.routes.ipv6 }
    /// BFD sessions with their clients, ascending by peer, as the line card reported them last.
    public var bfdSessions: [BFDClientSession] { state.bfd.clientSessions }
    public func isInterfaceUp(_ id: InterfaceID) -> Bool { state.routes.interfaceState(id) }
}
