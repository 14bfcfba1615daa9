import Engine
import Machine
import Records
import Redundancy

/// What a controller is told, besides frames (`Controller.receive`).
///
/// The world gives inputs in bursts and ends each with `.endOfBatch`: records of a burst go to the standby in one message
/// and to the engine in one piece of work, and frames leave after it.
public enum ControllerInput: Sendable {
    /// Once, first: the controller begins (FIG. 10). With the result of the self-test: what is missing, or nothing.
    case start(failedTests: [String])

    // MARK: the replication channel

    /// The transport (TLS) to the twin is up. Either side may have opened it; there is one at a time.
    case channelOpened
    /// Octets from the twin, in any portions.
    case channelReceived([UInt8])
    /// The transport is gone. `isProcessDead`: the host saw the twin's process end (reset or end of stream) rather than
    /// closing the channel itself. `isStreamWhole`: all that the twin had sent was read before (an end of stream, not a reset).
    case channelClosed(reason: String, isProcessDead: Bool, isStreamWhole: Bool = true)
    /// A datagram came over the redundancy link: a beat or a dying gasp. It is checked here.
    case datagram([UInt8])
    /// The twin's host refused a datagram: nobody there listens on that port.
    case datagramRefused

    // MARK: the arbiter, the engine, the host

    /// The answer to the oldest unanswered `ControllerOutput.arbiter`.
    case arbiter(ArbiterAnswer)
    /// The answer to a piece of work, in order. `.snapshot` reports do not come here: the world encodes the snapshot on
    /// a thread of its own and gives `.snapshotEncoded`. It is large, so it lies beside: inputs are moved often.
    indirect case engine(EngineReport)
    case snapshotEncoded(LogIndex, [UInt8])
    /// The engine has not come back from the record with this index (0: from other work) for the watchdog's time.
    case engineStuck(LogIndex)
    /// Carrier of one of the host's interfaces.
    case link(InterfaceID, isUp: Bool)
    /// The host was too slow, and frames that came in on an interface were lost before they could be read.
    case framesLost(InterfaceID)
    case memory(MemoryPressure)

    // MARK: the operator

    case request(OperatorRequestID, OperatorRequest)

    // MARK: the datastore (FIG. 14)

    /// A transaction of the local datastore that the twin's must store, too. At most `ChannelLimit.mirror` octets.
    case mirror(transaction: UInt64, [UInt8])
    /// The local datastore's answer to `ControllerOutput.mirror`; `nil` means done, else why not.
    case mirrored(transaction: UInt64, refusal: String?)

    /// The end of a burst of inputs.
    case endOfBatch
    /// Time passed. Give it when `nextDeadline` is due; `.endOfBatch` follows.
    case time
}

/// What a host says of its memory. The patent ("Software/hardware failures") hands over when it is exhausted; here the twin's
/// tables are as large, so the router sheds routes instead.
public enum MemoryPressure: UInt8, Sendable, Hashable {
    case none = 0
    /// The warning level: an alarm.
    case warning = 1
    /// The limit: said once for each neighbour that should be let go of (`MemoryWatch`).
    case critical = 2
}

/// Names a request, so that its answer finds whoever asked.
public struct OperatorRequestID: Hashable, Sendable {
    public var value: UInt64
    public init(_ value: UInt64) { self.value = value }
}

public enum OperatorRequest: Sendable {
    /// FIG. 11: graceful. Answered when it is finished, or refused with the reason.
    case switchover(reason: String)
    /// Give mastership up at once, without preparation (FIG. 13 on the twin). Refused unless the twin is ready.
    case forcedSwitchover(reason: String)
    /// Takes a standby out of redundancy, or back.
    case goOffline(reason: String)
    case goOnline
    /// The process is about to end: the twin is told, so that it raises no alarm.
    case leave(reason: String)
    /// A configuration that is validated and encoded as the engine wants it, under a number greater than all before.
    /// Refused on a standby and during a switchover. A controller that lost its own configuration, and whose twin is not
    /// active, becomes the router with it.
    case commit(revision: UInt64, [UInt8])
    case command(EngineCommand)
}

public enum OperatorAnswer: Sendable, Hashable {
    case done(String)
    case refused(String)
}
