import Management
import Testing

@Suite struct PolicyViewTests {
    @Test func `a trial says what decided, why other statements did not, and what changed`() {
        var trial = PolicyView.Trial(
            prefix: "192.0.2.0/24", policies: ["p"], isAccepted: true, reason: "statement 2 of policy 'p' accepts it",
            before: RoutesView.BGP(asPath: "65001", origin: "igp"))
        trial.misses = [.init(policy: "p", statement: "1", condition: "as-path: _7_")]
        var after = trial.before
        after.weight = 5
        after.extendedCommunities = ["rt:1:1"]
        trial.after = after
        #expect(
            trial.lines == [
                "192.0.2.0/24 is accepted by p: statement 2 of policy 'p' accepts it",
                "  statement 1 of policy 'p' is passed over, since this does not hold: as-path: _7_", "  AS path 65001",
                "  origin igp", "  weight none becomes 5", "  extended communities none becomes rt:1:1",
            ])
    }
}
