import Machine
import Records
import Redundancy
import Testing

/// The standby's side of a hand-over in order.
@Suite struct GracefulSwitchoverTests {
    let digest = ReplicaDigest([])

    func facts(portsUp: UInt16) -> GracefulSwitchover.Facts {
        .init(
            last: LogIndex(5), stored: LogIndex(5), applied: LogIndex(5), verified: LogIndex(5), difference: 0,
            committed: LogIndex(5), isGateEmpty: true, digest: digest, reasonNotReady: nil, portsUp: portsUp)
    }

    /// What a standby does when mastership is released to it, having said with so many ports that it is ready.
    func actions(readyWith ready: UInt16, releasedWith released: UInt16) -> [GracefulSwitchover.Action] {
        var actions: [GracefulSwitchover.Action] = []
        var standby = GracefulSwitchover.FromStandby(
            number: 1, upTo: LogIndex(5), reason: "test", stepMaximum: .seconds(1), facts: facts(portsUp: ready), at: .zero,
            into: &actions)
        standby.advance(facts(portsUp: ready), at: .zero, into: &actions)
        standby.receive(.beReady(number: 1), facts(portsUp: ready), at: .zero, into: &actions)
        actions = []
        standby.receive(
            .relinquish(number: 1, epoch: Epoch(3), last: LogIndex(5), digest: digest), facts(portsUp: released), at: .zero,
            into: &actions)
        return actions
    }
    func takes(_ actions: [GracefulSwitchover.Action]) -> Bool {
        actions.contains { if case .takeMastership = $0 { true } else { false } }
    }
    func sendsAbort(_ actions: [GracefulSwitchover.Action]) -> Bool {
        actions.contains { if case .send(.abort(1, _)) = $0 { true } else { false } }
    }

    @Test func `A standby that lost a carrier while the vote was asked leaves the router to the active`() {
        let lost = actions(readyWith: 2, releasedWith: 1)
        #expect(!takes(lost) && sendsAbort(lost))
    }

    @Test(arguments: [(2, 2), (1, 2), (0, 0)] as [(UInt16, UInt16)])
    func `A standby whose ports are as they were takes it, also if some were down before`(ports: (UInt16, UInt16)) {
        let taken = actions(readyWith: ports.0, releasedWith: ports.1)
        #expect(takes(taken) && !sendsAbort(taken))
    }
}
