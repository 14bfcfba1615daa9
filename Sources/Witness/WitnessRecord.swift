import Machine
import Records
import Redundancy
import Wire

/// What a witness keeps of one pair on its disk, and etcd in a key: the word, and of each controller which process it is and
/// what its last request came to, so that a repeated one is not carried out twice.
public struct WitnessRecord: Hashable, Sendable {
    public enum Done: Hashable, Sendable {
        /// Nothing whose repetition could do harm.
        case nothing
        case granted(Epoch, mayResume: Bool)
        case released(Epoch)
    }
    public struct Process: Hashable, Sendable {
        /// 0 for none that was ever heard.
        public var session: UInt64 = 0
        public var lease: Duration = .zero
        public var number: UInt64 = 0
        public var done = Done.nothing

        public init() {}
        public init(session: UInt64, lease: Duration) {
            self.session = session
            self.lease = lease
        }
    }

    public var word = LeaseWord()
    private var processes = (Process(), Process())

    public init() {}

    public static func == (a: Self, b: Self) -> Bool {
        a.word == b.word && a.processes.0 == b.processes.0 && a.processes.1 == b.processes.1
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(word)
        hasher.combine(processes.0)
        hasher.combine(processes.1)
    }

    public subscript(controller: ControllerID) -> Process {
        get { controller == .a ? processes.0 : processes.1 }
        set { if controller == .a { processes.0 = newValue } else { processes.1 = newValue } }
    }

    /// How long whoever has a right by this word may have it after a restart.
    var longestLease: Duration {
        if let holder = word.holder { return self[holder].lease }
        return word.reserved.map { self[$0.other].lease } ?? .zero
    }

    // MARK: requests

    /// What a request came to that was carried out already, as far as that is still true. `nil`: carrying it out, perhaps
    /// again, does no harm.
    /// - Parameter twinUntil: when asking again makes sense, if somebody else has mastership by now.
    public func repeated(
        _ request: ArbiterRequest, _ number: UInt64, from id: ControllerID, twinUntil: Instant
    ) -> LeaseWord.Outcome? {
        guard self[id].number == number else { return nil }
        switch (request, self[id].done) {
        case (.acquire, .granted(let epoch, let mayResume)):
            return word.isHeld(by: id, epoch)
                ? .granted(epoch, mayResume: mayResume) : .denied(holder: word.holder, word.epoch, retryAt: twinUntil)
        case (.release(let asked), .released(let epoch)): return asked == epoch ? .released(epoch) : nil
        default: return nil
        }
    }

    /// Carries a request out and notes under its number what must not be done twice.
    public mutating func carryOut(
        _ request: ArbiterRequest, _ number: UInt64, from id: ControllerID, policy: LeaseWord.Policy,
        twin: (_ patience: Duration) -> LeaseWord.Evidence
    ) -> LeaseWord.Outcome {
        let outcome = word.apply(request, from: id, policy: policy, twin: twin)
        let done: Done
        switch outcome {
        case .granted(let epoch, let mayResume): done = .granted(epoch, mayResume: mayResume)
        case .released(let epoch): done = .released(epoch)
        case .twinEligibility: done = .nothing
        case .denied, .notCurrent, .renewed, .lost, .refused: return outcome
        }
        self[id].number = number
        self[id].done = done
        return outcome
    }

    // MARK: octets

    /// Octets of a record on the disk; a sector, which is written whole or not at all.
    public static let size = 512
    private static let magic: UInt32 = 0x4c57_4931
    private static let key: (UInt64, UInt64) = (0x6c6f_636b_7374_6570, 0x7769_746e_6573_7331)
    /// Octets of a pair's name.
    public static let nameMaximum = 64

    /// - Parameters:
    ///   - name: of the pair.
    ///   - sequence: grows with every version of this pair's record.
    public func encoded(name: String, sequence: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.size)
        writer.u32(Self.magic)
        writer.u64(sequence)
        writer.u8(UInt8(name.utf8.count))
        writer.append(Array(name.utf8))
        writer.u64(word.bits)
        for controller in ControllerID.allCases {
            let process = self[controller]
            writer.u64(process.session)
            writer.u64(UInt64(bitPattern: process.lease.inNanoseconds))
            writer.u64(process.number)
            let (kind, epoch): (UInt8, Epoch) =
                switch process.done {
                case .nothing: (0, .zero)
                case .granted(let epoch, false): (1, epoch)
                case .granted(let epoch, true): (2, epoch)
                case .released(let epoch): (3, epoch)
                }
            writer.u8(kind)
            writer.u64(epoch.value)
        }
        writer.zeros(Self.size - 8 - writer.count)
        writer.u64(sipHash24(writer.bytes.span.bytes, key: Self.key))
        return writer.bytes
    }

    /// A record as it was written, or what is wrong with it.
    public static func decode(_ bytes: [UInt8]) throws(DecodeError) -> (name: String, sequence: UInt64, record: WitnessRecord) {
        guard bytes.count == size else { throw DecodeError("record", at: 0, .truncated) }
        let content = bytes.span.bytes.extracting(0..<(size - 8))
        var tail = ByteReader(bytes.span.bytes.extracting((size - 8)..<size), base: size - 8)
        guard try tail.u64("checksum") == sipHash24(content, key: key) else {
            throw DecodeError("checksum", at: size - 8, .badChecksum)
        }
        var reader = ByteReader(content)
        guard try reader.u32("kind of record") == magic else { throw DecodeError("kind of record", at: 0, .unsupported) }
        let sequence = try reader.u64("sequence")
        let length = Int(try reader.u8("length of the name"))
        guard length <= nameMaximum else { throw DecodeError("length of the name", at: 12, .badLength) }
        let name = String(decoding: try reader.array(length, "name"), as: UTF8.self)
        var record = WitnessRecord()
        record.word = LeaseWord(bits: try reader.u64("word"))
        for controller in ControllerID.allCases {
            var process = Process()
            process.session = try reader.u64("session")
            process.lease = .nanoseconds(Int64(clamping: try reader.u64("lease")))
            process.number = try reader.u64("number")
            let kind = try reader.u8("outcome")
            let epoch = Epoch(try reader.u64("epoch"))
            switch kind {
            case 0: process.done = .nothing
            case 1, 2: process.done = .granted(epoch, mayResume: kind == 2)
            case 3: process.done = .released(epoch)
            default: throw DecodeError("outcome", at: 0, .badValue)
            }
            record[controller] = process
        }
        return (name, sequence, record)
    }
}
