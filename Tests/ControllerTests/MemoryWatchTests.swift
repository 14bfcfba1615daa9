import Machine
import Testing

@testable import Controller

@Suite struct MemoryWatchTests {
    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test func `a size that swings around the limit costs one neighbor`() {
        var watch = MemoryWatch(warning: 800, limit: 1000)
        #expect(watch.look(500, at: at(0)) == nil)
        #expect(watch.look(800, at: at(1)) == .warning)
        #expect(watch.look(900, at: at(2)) == nil)
        #expect(watch.look(1000, at: at(3)) == .critical)
        for second in Int64(4)..<400 { #expect(watch.look(second % 2 == 0 ? 990 : 1005, at: at(second)) == nil) }
    }

    @Test func `growth beyond the limit calls for the next neighbor, after a pause`() {
        var watch = MemoryWatch(warning: nil, limit: 1000)
        #expect(watch.look(1000, at: at(0)) == .critical)
        #expect(watch.look(1100, at: at(29)) == nil)
        #expect(watch.look(1100, at: at(30)) == .critical)
        #expect(watch.look(1119, at: at(90)) == nil)
        #expect(watch.look(1120, at: at(91)) == .critical)
    }

    @Test func `what fell well below a bound and comes back is news`() {
        var watch = MemoryWatch(warning: 500, limit: 1000)
        #expect(watch.look(1000, at: at(0)) == .critical)
        #expect(watch.look(449, at: at(1)) == MemoryPressure.none)
        #expect(watch.look(500, at: at(2)) == .warning)
        #expect(watch.look(1000, at: at(3)) == .critical)
    }

    @Test func `without bounds nothing is said`() {
        var watch = MemoryWatch(warning: nil, limit: nil)
        #expect(watch.look(.max - 1, at: at(0)) == nil)
    }
}
