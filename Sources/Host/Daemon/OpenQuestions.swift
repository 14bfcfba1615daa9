import Synchronization

/// Answers that somebody waits for, each at most once and for a bounded time.
final class OpenQuestions<Answer: Sendable>: Sendable {
    private struct State {
        var waiting: [UInt64: CheckedContinuation<Answer, Never>] = [:]
        /// Answered before anybody waited.
        var early: [UInt64: Answer] = [:]
        var open: Set<UInt64> = []
    }
    private let state = Mutex(State())

    /// Say so before the question goes out: the answer may be faster than whoever waits for it.
    func open(_ id: UInt64) { state.withLock { _ = $0.open.insert(id) } }

    /// The answer, or `otherwise` when it did not come in time.
    func answer(to id: UInt64, within limit: Duration, otherwise: Answer) async -> Answer {
        let alarm = Task {
            try? await Task.sleep(for: limit)
            self.settle(id, otherwise)
        }
        defer { alarm.cancel() }
        return await withCheckedContinuation { continuation in
            let early = state.withLock { state -> Answer? in
                if let early = state.early.removeValue(forKey: id) { return early }
                state.waiting[id] = continuation
                return nil
            }
            if let early { continuation.resume(returning: early) }
        }
    }

    /// False if nobody asked, or it is answered already.
    @discardableResult
    func settle(_ id: UInt64, _ answer: Answer) -> Bool {
        let (isAwaited, continuation) = state.withLock { state -> (Bool, CheckedContinuation<Answer, Never>?) in
            guard state.open.remove(id) != nil else { return (false, nil) }
            if let continuation = state.waiting.removeValue(forKey: id) { return (true, continuation) }
            state.early[id] = answer
            return (true, nil)
        }
        continuation?.resume(returning: answer)
        return isAwaited
    }

    /// The same answer for all that are open.
    func settleAll(_ answer: Answer) {
        for id in state.withLock({ Array($0.open) }) { settle(id, answer) }
    }

    /// Nobody will ask.
    func forget(_ id: UInt64) {
        state.withLock { state in
            state.open.remove(id)
            state.early.removeValue(forKey: id)
        }
    }
}
