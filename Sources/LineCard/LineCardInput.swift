import Machine
import Records
import TCP
import Wire

/// What the line card is told, besides frames (`LineCard.receive`).
public enum LineCardInput: Sendable {
    /// What the engine wants, after the gate let it pass.
    case engine(EngineEffect)
    /// The oldest `.record` effect without an index was appended to the log as this record. Once per `.record`, in order.
    case logged(LogIndex)
    /// All records up to this one are stored on both controllers (or on one, when alone).
    case committed(LogIndex)
    /// The engine has applied all records up to this one; see `TCPInput.applied`.
    case applied(LogIndex)
    /// Speak as the router from here on: rebuild everything from the image, announce the addresses, resume connections.
    /// Also the first start, with an empty image.
    case takeOver(LineCardImage)
    /// Forget everything and be silent.
    case standDown
    /// Carrier of an interface. Known from outside only; interfaces count as up until this says otherwise. The record
    /// `.interfaceState` is made by who gives this input, not here.
    case link(InterfaceID, isUp: Bool)
    /// The routes to what is on no connected network; replaces the list before. Also as `EngineEffect.gateways`.
    case gateways([Gateway])
    /// Asks the networks, before speaking, whether anybody else answers for the addresses of these interfaces
    /// (RFC 5227 §2.1.1, RFC 4862 §5.4). Answered by `.probeResult` after `LineCard.probeTime`. Only while silent; a
    /// line card that speaks answers at once that there is no conflict.
    case probeAddresses([InterfaceConfiguration])
    /// The end of a burst of inputs: what waited to be put together goes out. After the frames of a turn, and again after
    /// the `.logged` and `.committed` that answer their records.
    case endOfBatch
    /// Time passed; timers that are due fire.
    case time
}

/// What the line card asks for.
public enum LineCardEffect: Sendable, Equatable {
    /// A complete Ethernet frame without FCS, to go out on an interface.
    case transmit(InterfaceID, [UInt8])
    /// An input of the engine; answer it with `.logged`.
    case record(RecordBody)
    case event(Event)
    /// Somebody else answers for our address, or sends under it.
    case addressConflict(InterfaceID, IPAddress, MACAddress)
    /// Who answered for the addresses of `.probeAddresses`; empty is good.
    case probeResult([ProbeConflict])
}

/// An address of ours that somebody on the network already uses.
public struct ProbeConflict: Sendable, Hashable {
    public var interface: InterfaceID
    public var address: IPAddress
    public var owner: MACAddress
    public init(interface: InterfaceID, address: IPAddress, owner: MACAddress) {
        self.interface = interface
        self.address = address
        self.owner = owner
    }
}
