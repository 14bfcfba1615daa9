import Engine
import Machine
import Records
import Redundancy
import Wire

/// The channel to the twin, and who is or was last at its other end.
struct TwinChannel {
    enum Stage: Equatable {
        case closed
        /// Our hello is sent, theirs is awaited.
        case greeting(until: Instant)
        case open
    }

    var stage = Stage.closed
    var receiver = ChannelReceiver()
    /// What leaves with the next flush.
    private var buffer = ByteWriter()
    var twin: Hello?
    /// In which forms the twin that was connected last and this controller speak; `nil` before there was any.
    var agreement: SchemaAgreement?
    /// The same of the engine's snapshots.
    var snapshotFormat = EngineSnapshot.newest
    /// Why the newest handshake came to nothing; `nil` once one came to something.
    var refusal: String?
    /// Why the twin left by its operator's will, until it is back.
    var farewell: String?
    /// Octets of our datastore's transactions that the twin has not answered, oldest first: it answers in order.
    var mirrorsUnderWay: [Int] = []
    /// So many beats more carry a nudge.
    private var nudges = 0

    static let greetingMaximum: Duration = .seconds(2)
    static let nudgesMaximum = 3
    static let mirrorsMaximum = 1024
    static let mirrorOctetsMaximum = 32 << 20

    var isOpen: Bool { stage == .open }
    var isClosed: Bool { stage == .closed }

    /// The transport is up: nothing of an earlier one belongs to it.
    mutating func beginGreeting(at now: Instant) {
        stage = .greeting(until: now + Self.greetingMaximum)
        receiver = ChannelReceiver()
        buffer = ByteWriter()
    }

    /// What was not flushed and what was not answered is lost with the transport.
    mutating func close() {
        stage = .closed
        buffer = ByteWriter()
        mirrorsUnderWay = []
    }

    mutating func send(_ message: ChannelMessage) {
        guard !isClosed else { return }
        message.write(to: &buffer)
    }

    /// Whatever waits for an acknowledgement is followed by something, so that TCP sees a loss at once.
    mutating func nudge(isWaiting: Bool) {
        guard isOpen else { return }
        if isWaiting { nudges = Self.nudgesMaximum }
        guard nudges > 0 else { return }
        nudges -= 1
        ChannelMessage.nudge.write(to: &buffer)
    }

    mutating func flush(into outputs: inout [ControllerOutput]) {
        guard buffer.count > 0 else { return }
        outputs.append(.channelSend(buffer.bytes))
        buffer = ByteWriter()
    }

    /// Why a transaction of so many octets cannot be mirrored now; `nil` if it can.
    func mirrorTrouble(octets: Int) -> String? {
        if !isOpen { return Controller.noTwin }
        if octets > ChannelLimit.mirror {
            return "it has \(octets) octets, more than the \(ChannelLimit.mirror) that the channel carries at once"
        }
        if mirrorsUnderWay.count >= Self.mirrorsMaximum || mirrorsUnderWay.reduce(0, +) + octets > Self.mirrorOctetsMaximum {
            return "the twin has not answered \(mirrorsUnderWay.count) earlier transactions"
        }
        return nil
    }
}
