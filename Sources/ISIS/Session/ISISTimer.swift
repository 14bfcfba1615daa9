import Machine
import Wire

/// Everything that IS-IS waits for. A timer is a kind with the numbers that tell it from others of its kind.
struct ISISTimer: Hashable, Sendable {
    enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// Send a hello (circuit; level, 0 on a point-to-point circuit).
        case hello = 1
        /// A neighbour is silent for its holding time (circuit, level as above, `name` its system ID).
        case hold = 2
        /// §8.4.5: the first election after a circuit came up (circuit, level).
        case election = 3
        /// (circuit, level)
        case csnp = 4
        case psnp = 5
        /// The next burst of LSPs may go (circuit).
        case transmit = 6
        /// LSPs without acknowledgement are due again (circuit, level).
        case retransmit = 7
        /// Own LSPs are to be made (level).
        case generate = 8
        /// An own LSP is to be sent again before it dies (level, `name` the LSP ID).
        case refresh = 9
        /// ISO 10589 §7.3.16.1: all sequence numbers of an own LSP are used up and the last one is dying out.
        case exhausted = 10
        /// RFC 8405 §5.
        case spf = 11
        case learn = 12
        case holdDown = 13
        /// The overload bit of the start ends.
        case overload = 14
        /// The next time that an event may tell of an LSP that does not fit a circuit, or of our own system ID in
        /// another's mouth there (circuit).
        case tooLarge = 15
        case duplicate = 16
        /// Another key signs LSPs from here on (level).
        case key = 17
    }
    var kind: Kind
    var circuit: UInt16 = 0
    var level: UInt8 = 0
    var name: UInt64 = 0

    init(_ kind: Kind, circuit: UInt16 = 0, level: UInt8 = 0, name: UInt64 = 0) {
        self.kind = kind
        self.circuit = circuit
        self.level = level
        self.name = name
    }
    init(_ kind: Kind, _ circuit: Circuit, _ level: Level? = nil, name: UInt64 = 0) {
        self.init(kind, circuit: circuit.interface.value, level: level?.rawValue ?? 0, name: name)
    }
    init(_ kind: Kind, _ level: Level, _ id: LSPID = .minimum) {
        self.init(kind, level: level.rawValue, name: id.raw)
    }

    func write(to writer: inout SnapshotWriter) {
        writer.write(kind.rawValue)
        writer.write(circuit)
        writer.write(level)
        writer.write(name)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let kind = Kind(rawValue: try reader.read()) else {
            throw DecodeError("timer", at: reader.position, .badValue)
        }
        self.kind = kind
        circuit = try reader.read()
        level = try reader.read()
        name = try reader.read()
        guard level <= 2 else { throw DecodeError("timer level", at: reader.position, .badValue) }
    }
}
