import Machine
import Records

/// What every arbiter with a memory of its own keeps: who may speak as the router, in one word of 64 bits.
///
/// A lease file holds it in a mapped page and changes it by compare-and-exchange, a witness in a file that it flushes
/// before it answers, etcd in a key, the simulator in memory. None of them decides anything: what a request does to the
/// word, and what is answered, is here.
///
/// Time is not part of the word. Whoever holds it has a clock or another proof, and says what it knows about the right of
/// the asker's twin when a decision depends on that (`Evidence`).
public struct LeaseWord: Hashable, Sendable {
    /// Grows with every grant.
    public var epoch = Epoch.zero
    /// Who was granted it.
    public var holder: ControllerID?
    /// For whom alone a released mastership is kept for a while; the releaser is the other one.
    public var reserved: ControllerID?
    /// Bit 0 for A, bit 1 for B: whose copy of the sessions is current.
    private var current: UInt8 = 0

    public init() {}

    /// The epoch shares its 64 bits with six others; what exceeds this was never granted by anybody.
    public static let epochMaximum = Epoch(UInt64.max >> 6)

    public subscript(isCurrent controller: ControllerID) -> Bool {
        get { current & (1 << controller.rawValue) != 0 }
        set { current = newValue ? current | 1 << controller.rawValue : current & ~(1 << controller.rawValue) }
    }

    /// What is known of the right that the asker's twin has: of its lease while it holds mastership, of the reservation
    /// while a released one is kept for it.
    public enum Evidence: Hashable, Sendable {
        case runs(until: Instant)
        case over
        /// Its process does not exist any more, so it will not speak, whatever its lease says.
        case dead

        /// By a clock: the right ends at `end`.
        public init(until end: Instant, at now: Instant) { self = now < end ? .runs(until: end) : .over }
    }

    /// What the holder promises besides its lease.
    public struct Policy: Hashable, Sendable {
        /// The holder of a redundant pair falls silent by the pair's own heartbeats as soon as its twin does not answer.
        /// Then a twin that asks in order to resume, and whose copy is current, needs nobody's lease to run out: that it
        /// asks means that it answers nobody, and whoever of the two comes first, the twin that acquires or the holder that
        /// calls it stale, has decided. The same holds for who released mastership and wants it back from a silent twin.
        public var holderIsBoundByPair: Bool
        /// How long after the end of another's lease one waits who cannot resume: the holder may only have stumbled, and
        /// would lose every session by it.
        public var staleWait: Duration
        public init(holderIsBoundByPair: Bool, staleWait: Duration = .seconds(3)) {
            self.holderIsBoundByPair = holderIsBoundByPair
            self.staleWait = staleWait
        }

        /// The lease says it all (`leasefile`).
        public static let lease = Policy(holderIsBoundByPair: false)
        /// The pair detects, and waits before it begins anew; the vote only says who may (`witness`, `etcd`).
        public static let pair = Policy(holderIsBoundByPair: true, staleWait: .zero)
    }

    /// What a request came to. Leases are added by whoever holds the word.
    public enum Outcome: Hashable, Sendable {
        case granted(Epoch, mayResume: Bool)
        /// Until then, unless the twin dies or gives it up.
        case denied(holder: ControllerID?, Epoch, retryAt: Instant)
        /// Asked for in order to resume, and the copy is not current.
        case notCurrent(Epoch)
        case renewed(Epoch)
        case released(Epoch)
        case twinEligibility(Epoch, Bool)
        case lost(Epoch)
        /// No answer is right, as for an epoch that nobody can have seen.
        case refused(String)
    }

    /// Carries out a request. What it did to the word and what it answers belong together: whoever holds the word makes
    /// both true at once or neither.
    /// - Parameter twin: asked for only when the answer depends on it, with how long after its end the twin's right still
    ///   counts against the asker.
    public mutating func apply(
        _ request: ArbiterRequest, from id: ControllerID, policy: Policy, twin: (_ patience: Duration) -> Evidence
    ) -> Outcome {
        switch request {
        case .acquire(let least, let isResuming): return acquire(id, least, isResuming: isResuming, policy, twin)
        case .renew(let asked):
            // Whether the lease ran out meanwhile does not matter: nobody else took the epoch.
            return isHeld(by: id, asked) ? .renewed(epoch) : .lost(epoch)
        case .release(let asked):
            // Twice is once: the answer to the first may have been lost.
            if holder == nil, reserved == id.other, epoch == asked { return .released(epoch) }
            guard isHeld(by: id, asked) else { return .lost(epoch) }
            holder = nil
            reserved = id.other
            return .released(epoch)
        case .setTwinEligible(let asked, let isEligible):
            guard isHeld(by: id, asked) else { return .lost(epoch) }
            self[isCurrent: id.other] = isEligible
            return .twinEligibility(epoch, isEligible)
        }
    }

    /// A process begins under this name: whatever its predecessor had, it knows nothing yet.
    public mutating func begin(_ id: ControllerID) { self[isCurrent: id] = false }

    public func isHeld(by id: ControllerID, _ asked: Epoch) -> Bool { holder == id && epoch == asked }

    /// Whose right stands in the way when `id` acquires: the twin's, if it holds mastership or a release is kept for it.
    public func isTwinInTheWay(of id: ControllerID) -> Bool {
        holder == id.other || (holder == nil && reserved == id.other)
    }

    private mutating func acquire(
        _ id: ControllerID, _ least: Epoch, isResuming: Bool, _ policy: Policy, _ twin: (Duration) -> Evidence
    ) -> Outcome {
        guard max(epoch, least) < Self.epochMaximum else {
            return .refused("epoch \(max(epoch, least)) is none that was ever granted; \(Self.epochMaximum) is the last")
        }
        let mayResume = self[isCurrent: id]
        if holder == id, mayResume {
            // It goes on above an epoch that its twin remembers; nothing else changes.
            epoch = max(epoch, least).next
            return .granted(epoch, mayResume: true)
        }
        if isResuming, !mayResume { return .notCurrent(epoch) }
        var evidence = Evidence.over
        if isTwinInTheWay(of: id) {
            evidence = twin(isResuming || holder == nil ? .zero : policy.staleWait)
            let isBound = policy.holderIsBoundByPair && isResuming
            if case .runs(let end) = evidence, !isBound { return .denied(holder: holder, epoch, retryAt: end) }
        }
        // After a hand-over in order the old active follows with a whole copy, so that it may resume should the new one
        // die. After anything else the other's copy is stale until the new holder says otherwise.
        let isHandedOver = holder == nil && reserved != id.other
        let keepsOther = isHandedOver && mayResume && self[isCurrent: id.other] && evidence != .dead
        epoch = max(epoch, least).next
        holder = id
        reserved = nil
        self[isCurrent: id] = true
        self[isCurrent: id.other] = keepsOther
        return .granted(epoch, mayResume: mayResume)
    }

    // MARK: bits

    /// epoch << 6 | B current << 5 | A current << 4 | reserved << 2 | holder (0 nobody, 1 A, 2 B)
    public var bits: UInt64 {
        // An epoch from outside may be too large for its place; it must not spill into the others' or trap.
        min(epoch, Self.epochMaximum).value << 6 | UInt64(current) << 4 | Self.code(reserved) << 2 | Self.code(holder)
    }

    /// Any word is one: what is neither A nor B is nobody.
    public init(bits: UInt64) {
        epoch = Epoch(bits >> 6)
        holder = Self.controller(bits & 3)
        reserved = Self.controller(bits >> 2 & 3)
        current = UInt8(truncatingIfNeeded: bits >> 4 & 3)
    }

    private static func controller(_ code: UInt64) -> ControllerID? {
        switch code {
        case 1: .a
        case 2: .b
        default: nil
        }
    }
    private static func code(_ controller: ControllerID?) -> UInt64 { controller.map { UInt64($0.rawValue) + 1 } ?? 0 }
}

extension LeaseWord: CustomStringConvertible {
    /// `epoch 7, held by A, current A B`, for events.
    public var description: String {
        let who = holder.map { "held by \($0)" } ?? reserved.map { "kept for \($0)" } ?? "held by nobody"
        let copies = ControllerID.allCases.filter { self[isCurrent: $0] }.map { " \($0)" }.joined()
        return "epoch \(epoch), \(who)" + (copies.isEmpty ? "" : ", current\(copies)")
    }
}
