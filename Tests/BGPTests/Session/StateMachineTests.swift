import BGP
import Testing

/// RFC 4271 §8.2.2, state by event.
@Suite struct StateMachineTests {
    static let cease = NotificationMessage.cease(.administrativeShutdown)
    static let headerError = NotificationMessage.header(.badMessageType, [9])
    static let openError = NotificationMessage.open(.badPeerAS)
    static let updateError = NotificationMessage.update(.malformedAttributeList)

    /// A machine that was led to `state` by the shortest way.
    static func machine(in state: SessionState, delayOpen: Bool = false, passive: Bool = false) -> SessionStateMachine {
        var machine = SessionStateMachine(delayOpen: delayOpen, isPassive: passive)
        var actions: [SessionAction] = []
        let path: [SessionEvent] =
            switch state {
            case .idle: []
            case .connect: [.start]
            case .active: passive ? [.startPassive] : [.start, .tcpFails]
            case .openSent: [.start, .tcpConnected]
            case .openConfirm: [.start, .tcpConnected, .open(holdTime: 90)]
            case .established: [.start, .tcpConnected, .open(holdTime: 90), .keepalive]
            }
        for event in path { machine.handle(event, into: &actions) }
        precondition(machine.state == state)
        return machine
    }

    static func step(_ state: SessionState, _ event: SessionEvent) -> (SessionState, [SessionAction], SessionStateMachine) {
        var machine = machine(in: state)
        var actions: [SessionAction] = []
        machine.handle(event, into: &actions)
        return (machine.state, actions, machine)
    }

    /// What each state does on its way to Idle with, or without, a NOTIFICATION.
    static func down(_ notification: NotificationMessage? = nil, damped: Bool = true) -> [SessionAction] {
        (notification.map { [.sendNotification($0)] } ?? [])
            + [.stopConnectRetryTimer, .releaseResources, .dropConnection] + (damped ? [.dampOscillation] : [])
    }
    static func state(_ subcode: NotificationMessage.StateSubcode, _ type: UInt8) -> NotificationMessage {
        .state(subcode, [type])
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var state: SessionState
        var event: SessionEvent
        var next: SessionState
        var actions: [SessionAction]
        init(_ state: SessionState, _ event: SessionEvent, _ next: SessionState, _ actions: [SessionAction]) {
            self.state = state
            self.event = event
            self.next = next
            self.actions = actions
        }
        var testDescription: String { "\(state): \(event)" }
    }

    static let starts: [SessionEvent] = [.start, .startPassive]
    static let lost: [SessionAction] = [.releaseResources, .dropConnection, .startConnectRetryTimer]

    static let rows: [Row] = {
        var rows: [Row] = [
            // Idle: only starts count.
            Row(.idle, .start, .connect, [.startConnectRetryTimer, .initiateConnection]),
            Row(.idle, .startPassive, .active, []),
        ]
        let ignoredInIdle: [SessionEvent] = [
            .manualStop(cease), .automaticStop(cease), .connectRetryTimerExpires, .holdTimerExpires,
            .keepaliveTimerExpires, .delayOpenTimerExpires, .tcpConnected, .tcpFails, .open(holdTime: 90),
            .headerError(headerError), .openError(openError), .openCollisionDump, .notificationVersionError,
            .notification, .keepalive, .update, .updateError(updateError), .routeRefresh,
        ]
        rows += ignoredInIdle.map { Row(.idle, $0, .idle, []) }
        for state in [SessionState.connect, .active, .openSent, .openConfirm, .established] {
            rows += starts.map { Row(state, $0, state, []) }
        }
        rows += [
            Row(.connect, .manualStop(cease), .idle, down(damped: false)),
            Row(.connect, .connectRetryTimerExpires, .connect, [.dropConnection, .startConnectRetryTimer, .initiateConnection]),
            Row(
                .connect, .tcpConnected, .openSent,
                [.stopConnectRetryTimer, .stopConnectRetryTimer, .sendOpen, .startHoldTimer(240)]),
            Row(.connect, .tcpFails, .active, lost),
            Row(.connect, .headerError(headerError), .idle, down()),
            Row(.connect, .openError(openError), .idle, down()),
            Row(.connect, .notificationVersionError, .idle, down()),
            Row(.connect, .openCollisionDump, .idle, down(damped: false)),

            Row(.active, .manualStop(cease), .idle, down(damped: false)),
            Row(.active, .connectRetryTimerExpires, .connect, [.startConnectRetryTimer, .initiateConnection]),
            Row(
                .active, .tcpConnected, .openSent,
                [.stopConnectRetryTimer, .stopConnectRetryTimer, .sendOpen, .startHoldTimer(240)]),
            Row(.active, .tcpFails, .active, lost),
            Row(.active, .headerError(headerError), .idle, down()),
            Row(.active, .openError(openError), .idle, down()),
            Row(.active, .notificationVersionError, .idle, down()),

            Row(.openSent, .manualStop(cease), .idle, down(cease, damped: false)),
            Row(.openSent, .automaticStop(cease), .idle, down(cease)),
            Row(.openSent, .holdTimerExpires, .idle, down(.holdTimerExpired)),
            Row(.openSent, .tcpConnected, .openSent, []),
            Row(.openSent, .tcpFails, .active, lost),
            Row(
                .openSent, .open(holdTime: 90), .openConfirm,
                [.stopConnectRetryTimer, .sendKeepalive, .startKeepaliveTimer, .startHoldTimer(90)]),
            Row(.openSent, .open(holdTime: 0), .openConfirm, [.stopConnectRetryTimer, .sendKeepalive, .startHoldTimer(0)]),
            Row(.openSent, .headerError(headerError), .idle, down(headerError)),
            Row(.openSent, .openError(openError), .idle, down(openError)),
            Row(.openSent, .openCollisionDump, .idle, down(.cease(.connectionCollision), damped: false)),
            Row(.openSent, .notificationVersionError, .idle, down()),
            Row(.openSent, .notification, .idle, down()),
            Row(.openSent, .connectRetryTimerExpires, .idle, down(.state(.unspecified))),
            Row(.openSent, .keepaliveTimerExpires, .idle, down(.state(.unspecified))),
            // RFC 6608 §4
            Row(.openSent, .keepalive, .idle, down(state(.unexpectedInOpenSent, 4))),
            Row(.openSent, .update, .idle, down(state(.unexpectedInOpenSent, 2))),
            Row(.openSent, .routeRefresh, .idle, down(state(.unexpectedInOpenSent, 5))),

            Row(.openConfirm, .manualStop(cease), .idle, down(cease, damped: false)),
            Row(.openConfirm, .automaticStop(cease), .idle, down(cease)),
            Row(.openConfirm, .holdTimerExpires, .idle, down(.holdTimerExpired)),
            Row(.openConfirm, .keepaliveTimerExpires, .openConfirm, [.sendKeepalive, .startKeepaliveTimer]),
            Row(.openConfirm, .tcpConnected, .openConfirm, []),
            Row(.openConfirm, .tcpFails, .idle, down()),
            Row(.openConfirm, .notification, .idle, down()),
            Row(.openConfirm, .notificationVersionError, .idle, down()),
            Row(.openConfirm, .headerError(headerError), .idle, down(headerError)),
            Row(.openConfirm, .openCollisionDump, .idle, down(.cease(.connectionCollision), damped: false)),
            Row(.openConfirm, .keepalive, .established, [.startHoldTimer(90), .announceEstablished]),
            Row(.openConfirm, .update, .idle, down(state(.unexpectedInOpenConfirm, 2))),
            Row(.openConfirm, .open(holdTime: 90), .idle, down(state(.unexpectedInOpenConfirm, 1))),
            Row(.openConfirm, .routeRefresh, .idle, down(state(.unexpectedInOpenConfirm, 5))),
            Row(.openConfirm, .delayOpenTimerExpires, .idle, down(.state(.unspecified))),

            Row(.established, .manualStop(cease), .idle, down(cease, damped: false)),
            Row(.established, .automaticStop(cease), .idle, down(cease)),
            Row(.established, .holdTimerExpires, .idle, down(.holdTimerExpired)),
            Row(.established, .keepaliveTimerExpires, .established, [.sendKeepalive, .startKeepaliveTimer]),
            Row(.established, .tcpConnected, .established, []),
            Row(.established, .tcpFails, .idle, down()),
            Row(.established, .notification, .idle, down()),
            Row(.established, .notificationVersionError, .idle, down()),
            Row(.established, .keepalive, .established, [.startHoldTimer(90)]),
            Row(.established, .update, .established, [.startHoldTimer(90)]),
            Row(.established, .routeRefresh, .established, []),
            Row(.established, .updateError(updateError), .idle, down(updateError)),
            Row(.established, .headerError(headerError), .idle, down(headerError)),
            Row(.established, .open(holdTime: 90), .idle, down(state(.unexpectedInEstablished, 1))),
            Row(.established, .connectRetryTimerExpires, .idle, down(.state(.unspecified))),
            Row(
                .established, .sendHoldTimerExpires, .idle,
                [.stopConnectRetryTimer, .releaseResources, .abortConnection, .dampOscillation]),
        ]
        return rows
    }()

    @Test("each event in each state does what §8.2.2 says", arguments: rows)
    func table(_ row: Row) {
        let (next, actions, _) = Self.step(row.state, row.event)
        #expect(next == row.next)
        #expect(actions == row.actions)
    }

    @Test("DelayOpen waits, and an OPEN that comes first is answered at once")
    func delayOpen() {
        var machine = SessionStateMachine(delayOpen: true, isPassive: false)
        var actions: [SessionAction] = []
        machine.handle(.start, into: &actions)
        actions = []
        machine.handle(.tcpConnected, into: &actions)
        #expect(machine.state == .connect)
        #expect(actions == [.stopConnectRetryTimer, .startDelayOpenTimer])
        var expired = machine
        actions = []
        expired.handle(.delayOpenTimerExpires, into: &actions)
        #expect(expired.state == .openSent)
        #expect(actions == [.stopDelayOpenTimer, .stopConnectRetryTimer, .sendOpen, .startHoldTimer(240)])
        actions = []
        machine.handle(.open(holdTime: 30), into: &actions)
        #expect(machine.state == .openConfirm)
        #expect(
            actions == [
                .stopDelayOpenTimer, .stopConnectRetryTimer, .sendOpen, .sendKeepalive, .startKeepaliveTimer,
                .startHoldTimer(30),
            ])
    }

    @Test("a version error while OPEN is delayed does not count as a failure")
    func versionError() {
        var machine = SessionStateMachine(delayOpen: true, isPassive: false)
        var actions: [SessionAction] = []
        for event in [SessionEvent.start, .tcpConnected] { machine.handle(event, into: &actions) }
        machine.handle(.notificationVersionError, into: &actions)
        #expect(machine.state == .idle)
        #expect(machine.connectRetryCounter == 0)
    }

    @Test("failures count, a manual stop sets the counter to zero")
    func counter() {
        let (_, _, failed) = Self.step(.established, .holdTimerExpires)
        #expect(failed.connectRetryCounter == 1)
        let (_, _, stopped) = Self.step(.established, .manualStop(Self.cease))
        #expect(stopped.connectRetryCounter == 0)
    }

    @Test("a passive machine neither connects nor retries")
    func passive() {
        var machine = Self.machine(in: .active, passive: true)
        var actions: [SessionAction] = []
        machine.handle(.connectRetryTimerExpires, into: &actions)
        machine.handle(.tcpFails, into: &actions)
        #expect(machine.state == .active)
        #expect(!actions.contains(.initiateConnection))
        #expect(!actions.contains(.startConnectRetryTimer))
    }
}
