import Engine
import Machine
import Records
import Redundancy

/// What a controller wants done, in this order.
public enum ControllerOutput: Sendable {
    /// Send a frame as the router. It was released by the gate under `Controller.lease`; before each burst the host
    /// compares the lease with its clock and drops the burst if it ran out.
    case transmit(InterfaceID, [UInt8])
    /// Send a frame as this controller (a beat), whatever the role, if that interface allows it. The source address is the
    /// host's to fill in: octets 6…11 are zero.
    case advertise(InterfaceID, [UInt8])
    /// Send a frame in this controller's own name, also on an interface that does not want beats: a question after the router's
    /// addresses, as every host asks. The source address is the host's to fill in (`fillSource`).
    case ask(InterfaceID, [UInt8])
    /// The gate of the host: frames may leave under this epoch until then (local monotonic time). `until` in the past
    /// closes it at once.
    case lease(Epoch, until: Instant)

    /// Octets for the twin, in order.
    case channelSend([UInt8])
    /// Close the transport, and open a new one when it can be had. No `channelClosed` needs to follow.
    case channelClose(reason: String)
    /// What a signal handler would send when the process dies now: copy it where the handler finds it. `nil`: nothing.
    /// The index of the record being applied goes at `DyingGasp.indexOffset` in network order.
    case prepareGasp([UInt8]?)
    /// Send this datagram to the twin over the redundancy link: a beat, or a gasp.
    case datagram([UInt8])
    /// The key of the pair's beats is another one: keep it with the datastore, so that the two know each other when they
    /// start without a channel.
    case pairKey(PairKey)

    case arbiter(ArbiterRequest)
    case engine(EngineWork)

    case event(Event)
    /// State or epoch changed; for management, the datastore (epoch) and the kernel's data plane (macvlan up on the active).
    case state(ControllerState, Epoch)
    /// The router's interfaces, on both controllers, whenever they change: which devices to open and what to program.
    case interfaces([InterfaceConfiguration])
    /// A configuration is in force from this record on: the active says it when its engine has applied the record and the
    /// standby, if there is one, has stored it; the standby when it applies it. The datastore of each keeps it.
    case configured(ConfigurationPosition, [UInt8])
    case answer(OperatorRequestID, OperatorAnswer)

    /// A transaction of the twin's datastore for ours: answer with `ControllerInput.mirrored`.
    case mirror(transaction: UInt64, [UInt8])
    /// The twin's answer to one of ours; `nil` means done.
    case mirrorAnswered(transaction: UInt64, refusal: String?)
    /// A twin joined: the active's datastore mirrors all it has.
    case mirrorEverything

    /// The process must end, and be started again by whoever watches over it.
    case exit(reason: String)
}
