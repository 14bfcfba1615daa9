import Machine
import Wire

/// What a timer of the instance is for.
struct OSPFTimer: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        /// Of an interface, by `InterfaceID`: RFC 2328 §9.5 and §9 (Wait Timer), and the delay of acknowledgements
        /// (§13.5).
        case hello = 0
        case wait = 1
        case delayedAcknowledgement = 2
        /// Of a neighbour, by its number: §10 Inactivity Timer, and the retransmissions of §10.8, §10.9 and §13.6.
        case inactivity = 3
        case databaseDescription = 4
        case linkStateRequest = 5
        case retransmission = 6
        /// RFC 3623 §3: the end of a grace period.
        case grace = 7
        /// Of the instance: RFC 8405's SPF_TIMER, HOLDDOWN_TIMER and LEARN_TIMER.
        case spf = 8
        case spfHoldDown = 9
        case spfLearn = 10
        /// Changes to own LSAs that wait for the initial delay.
        case origination = 11
        /// RFC 6987: the stub router's time after the start is over.
        case stubRouter = 12
        /// The next time that the database being full may be told.
        case overflow = 13
        /// Of an LSA of ours, by its handle: what it is to say next waits for MinLSInterval (RFC 2328 §12.4).
        case successor = 14
        /// Of the instance: externals may be worked out again.
        case externals = 15
        /// Of an interface: the next time that our own Router ID in another's mouth may be told.
        case duplicate = 16
    }
    var kind: Kind
    var number: UInt32

    init(_ kind: Kind, _ number: UInt32 = 0) {
        self.kind = kind
        self.number = number
    }

    func write(to writer: inout SnapshotWriter) {
        writer.write(kind.rawValue)
        writer.write(number)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let kind = Kind(rawValue: try reader.read()) else {
            throw DecodeError("OSPF timer", at: reader.position, .badValue)
        }
        self.init(kind, try reader.read())
    }
}
