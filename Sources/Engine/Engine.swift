import Machine
import Records
import Wire

/// The deterministic state machine that both controllers run on the same log (DESIGN §1).
///
/// It has one owner: the engine thread of the host, or the simulator.
public struct Engine: ~Copyable {
    var state: EngineState
    /// Where the index of the record being applied is noted before work on it begins, so that a signal handler can
    /// tell the twin which record was fatal (DESIGN §7). Owned by the caller; may be nil.
    private let applying: UnsafeMutablePointer<UInt64>?

    /// - Parameters:
    ///   - seed: random per pair, part of the state; a standby's is replaced by that of the snapshot.
    ///   - applying: see `applying`.
    public init(seed: UInt64, applying: UnsafeMutablePointer<UInt64>? = nil) {
        state = EngineState()
        unsafe self.applying = applying
    }

    public mutating func perform(_ work: EngineWork) -> EngineReport {
        switch work {
        case .apply(let records):
            var effects: [IndexedEffect] = []
            for record in records {
                unsafe applying?.pointee = record.index.value
                precondition(record.index == state.applied.next, "records are applied in order and without gaps")
                state.applied = record.index
                state.now = record.time
            }
            unsafe applying?.pointee = 0
            return .applied(upTo: state.applied, effects: effects, digest: digest, nextDeadline: nil)
        case .snapshot:
            return .snapshot(EngineSnapshot(index: state.applied, state: state))
        case .restore(let bytes):
            do {
                state = try EngineState(decoding: bytes)
                return .restored(upTo: state.applied, digest: digest, nextDeadline: nil)
            } catch {
                return .restoreFailed(error)
            }
        case .image:
            return .image(LineCardImage())
        }
    }

    public var digest: EngineDigest { EngineDigest() }
}
