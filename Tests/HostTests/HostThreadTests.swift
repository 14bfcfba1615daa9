import Dispatch
import Testing

@testable import Host

@Suite struct HostThreadTests {
    /// The C library gives the number of a thread that was waited for to the next one: who waits twice takes that one's end
    /// away from whoever owns it.
    @Test func `a thread that was waited for is not waited for again`() throws {
        let first = try HostThread("first") {}
        first.join()
        let go = DispatchSemaphore(value: 0)
        let others = try (0..<8).map { try HostThread("other \($0)") { go.wait() } }
        first.join()
        for _ in others { go.signal() }
        for other in others { other.join() }
    }

    @Test func `a thread that nobody waits for goes on, and ends by itself`() async throws {
        await withCheckedContinuation { (ended: CheckedContinuation<Void, Never>) in
            _ = try? HostThread("alone") { ended.resume() }
        }
    }
}
