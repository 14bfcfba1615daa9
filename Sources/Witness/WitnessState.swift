import Machine
import Records
import Redundancy

/// What a witness knows: for each of its pairs the word that says who may speak as the router, and until when its holder's
/// lease runs on the witness's own clock.
///
/// A value without I/O. The world around it gives it requests of controllers whose identity is proven, makes what has
/// changed durable, and only then sends the answer. Pairs are fixed at start, and what is kept for each has a fixed size, so
/// no client can make it grow; a request names no pair, so none can touch another's.
public struct WitnessState: Sendable {
    /// One of the controllers of one of the pairs.
    public struct Client: Hashable, Sendable {
        /// Position among the pairs.
        public var pair: Int
        public var controller: ControllerID
        public init(pair: Int, controller: ControllerID) {
            self.pair = pair
            self.controller = controller
        }
    }
    /// What an answer needs besides being sent.
    public struct Reply: Hashable, Sendable {
        public var answer: WitnessAnswer
        /// The pair's record has changed: it must be on the disk before the answer leaves.
        public var isChanged: Bool
        public init(answer: WitnessAnswer, isChanged: Bool = false) {
            self.answer = answer
            self.isChanged = isChanged
        }
    }

    public let names: [String]
    public private(set) var records: [WitnessRecord]
    /// Until when the holder's lease runs, or the reservation of a mastership that was released.
    private var until: [Instant]
    /// Until then nothing is granted for a pair whose record was lost, but to the holder and to whom it hands over.
    private var silentUntil: [Instant]

    /// - Parameters:
    ///   - found: the records on the disk, by the pair's position; `nil` for a pair that was never there.
    ///   - lost: pairs whose records are known to be lost; all of them when there is no file.
    ///   - leaseMaximum: the longest lease that a holder from before may have.
    public init(names: [String], found: [WitnessRecord?], lost: [Bool], leaseMaximum: Duration, at now: Instant) {
        self.names = names
        records = found.map { $0 ?? WitnessRecord() }
        // Nothing is known about renewals before the restart: every lease may just have begun, as far as we know.
        until = records.map { now + $0.longestLease }
        silentUntil = lost.map { $0 ? now + Self.silence(leaseMaximum) : .zero }
    }

    /// Longer than any lease, by what clocks may differ in, and by a second.
    public static func silence(_ leaseMaximum: Duration) -> Duration { leaseMaximum + leaseMaximum / 100 + .seconds(1) }

    public func isSilent(_ pair: Int, at now: Instant) -> Bool { now < silentUntil[pair] }

    /// A connection begins. A session that is not the last one belongs to a new process, which knows nothing, unless it is
    /// the witness that has forgotten it.
    public mutating func hello(
        _ client: Client, session: UInt64, lease: Duration, isFirst: Bool, at now: Instant
    ) -> Reply {
        var record = records[client.pair]
        let known = record[client.controller].session
        if known != session {
            record[client.controller] = WitnessRecord.Process(session: session, lease: lease)
            if known != 0 || isFirst { record.word.begin(client.controller) }
        } else {
            record[client.controller].lease = lease
        }
        let isChanged = record != records[client.pair]
        records[client.pair] = record
        let silence = max(.zero, silentUntil[client.pair] - now)
        return Reply(answer: .welcome(knowsNothingFor: silence), isChanged: isChanged)
    }

    /// A request of the process that said hello with `session`.
    public mutating func ask(
        _ client: Client, session: UInt64, number: UInt64, _ request: ArbiterRequest, isTwinEligible: Bool, at now: Instant
    ) -> Reply {
        let before = records[client.pair]
        guard before[client.controller].session == session else {
            return Reply(answer: .refusal("another process runs as controller \(client.controller) of this pair"))
        }
        guard number >= before[client.controller].number else {
            return Reply(answer: .refusal("request \(number) comes after request \(before[client.controller].number)"))
        }
        let end = until[client.pair]
        let lease = before[client.controller].lease
        let answer: VoteAnswer
        if let repeated = before.repeated(request, number, from: client.controller, twinUntil: end) {
            answer = VoteAnswer(repeated, lease: lease, at: now)
        } else {
            answer = carryOut(client, number, request, isTwinEligible, at: now)
        }
        return Reply(answer: .answer(number: number, answer), isChanged: records[client.pair] != before)
    }

    private mutating func carryOut(
        _ client: Client, _ number: UInt64, _ request: ArbiterRequest, _ isTwinEligible: Bool, at now: Instant
    ) -> VoteAnswer {
        var record = records[client.pair]
        let isSilent = now < silentUntil[client.pair]
        switch request {
        case .renew(let epoch), .release(let epoch), .setTwinEligible(let epoch, _): adopt(epoch, of: client, isSilent, &record)
        case .acquire: break
        }
        if case .renew(let epoch) = request {
            // A twin that reached us after its copy was called current is the one that the holder means.
            if isTwinEligible, record.word.isHeld(by: client.controller, epoch) {
                record.word[isCurrent: client.controller.other] = true
            }
        }
        // Of two controllers one has given it up since the restart, and the other asks: nobody is left whose lease could run.
        let isHandedOver = record.word.holder == nil && record.word.reserved == client.controller
        if isSilent, case .acquire = request, record.word.holder != client.controller, !isHandedOver {
            return .denied(
                holder: record.word.holder, record.word.epoch, retryAfter: silentUntil[client.pair] - now)
        }
        let end = until[client.pair]
        let outcome = record.carryOut(request, number, from: client.controller, policy: .pair) {
            LeaseWord.Evidence(until: end + $0, at: now)
        }
        let lease = record[client.controller].lease
        switch outcome {
        case .granted, .renewed, .released: until[client.pair] = now + lease
        case .denied, .notCurrent, .twinEligibility, .lost, .refused: break
        }
        records[client.pair] = record
        return VoteAnswer(outcome, lease: lease, at: now)
    }

    /// A witness that knows nothing believes who speaks as the holder; of two, the one with the higher epoch.
    private func adopt(
        _ epoch: Epoch, of client: Client, _ isSilent: Bool, _ record: inout WitnessRecord
    ) {
        guard epoch > record.word.epoch, epoch <= LeaseWord.epochMaximum, isSilent || record.word.epoch == .zero else { return }
        record.word = LeaseWord()
        record.word.epoch = epoch
        record.word.holder = client.controller
        record.word[isCurrent: client.controller] = true
    }
}
