import Machine
import Wire

/// RFC 4271 §8.2.2
public enum SessionState: UInt8, Hashable, Sendable, Codable, CaseIterable, LosslessStringConvertible {
    case idle = 0
    case connect = 1
    case active = 2
    case openSent = 3
    case openConfirm = 4
    case established = 5

    public var description: String {
        switch self {
        case .idle: "Idle"
        case .connect: "Connect"
        case .active: "Active"
        case .openSent: "OpenSent"
        case .openConfirm: "OpenConfirm"
        case .established: "Established"
        }
    }
}

/// RFC 4271 §8.1, with the RFC's numbers. Event 14 and 15 (a connection request is seen) do not come up: the line card
/// completes handshakes of configured neighbours only. 9003's text travels in the notification of a stop.
public enum SessionEvent: Hashable, Sendable {
    /// 1, and 3 or 6 alike: who starts does not matter to the machine.
    case start
    /// 4, and 5 or 7: the same without connecting.
    case startPassive
    /// 2
    case manualStop(NotificationMessage)
    /// 8
    case automaticStop(NotificationMessage)
    /// 9
    case connectRetryTimerExpires
    /// 10
    case holdTimerExpires
    /// 11
    case keepaliveTimerExpires
    /// 12
    case delayOpenTimerExpires
    /// 13 is the instance's business: it answers with a start event.
    /// 16 and 17
    case tcpConnected
    /// 18
    case tcpFails
    /// 19, or 20 when the DelayOpenTimer runs. The hold time is the negotiated one.
    case open(holdTime: UInt16)
    /// 21
    case headerError(NotificationMessage)
    /// 22
    case openError(NotificationMessage)
    /// 23
    case openCollisionDump
    /// 24
    case notificationVersionError
    /// 25
    case notification
    /// 26
    case keepalive
    /// 27
    case update
    /// 28
    case updateError(NotificationMessage)
    /// RFC 2918; the machine treats it like an UPDATE that came too early.
    case routeRefresh
    /// RFC 9687 §4
    case sendHoldTimerExpires
}

/// What the machine wants done, in order.
public enum SessionAction: Hashable, Sendable {
    case startConnectRetryTimer
    case stopConnectRetryTimer
    case startDelayOpenTimer
    case stopDelayOpenTimer
    /// Seconds; 0 stops it.
    case startHoldTimer(UInt16)
    case startKeepaliveTimer
    /// Open a connection to the neighbour; one that is under way is given up first.
    case initiateConnection
    case sendOpen
    case sendKeepalive
    case sendNotification(NotificationMessage)
    /// FIN after what was sent; a connection that is not up yet is given up.
    case dropConnection
    /// RST: the neighbour does not read, so nothing more can be told.
    case abortConnection
    /// Routes may flow.
    case announceEstablished
    /// Delete the routes of this connection, stop its timers, forget what was negotiated.
    case releaseResources
    /// RFC 4271 §8.1.1 DampPeerOscillations: stay in Idle for the IdleHoldTime, which grows with each failure.
    case dampOscillation
}

/// The finite state machine of one connection, RFC 4271 §8.2.2: one switch to hold beside the RFC.
///
/// Departures, each on purpose:
/// - A connect that fails goes to Active, not to Idle, and tries again when the ConnectRetryTimer expires: in Idle we
///   would refuse the neighbour's own attempts, and two routers that start together could miss each other for long.
/// - A bad header in Established is answered with what was wrong with it, as in the other states; the text of §8.2.2
///   would answer every such message with a Finite State Machine Error, against §6.1.
/// - The error codes for unexpected messages are those of RFC 6608.
public struct SessionStateMachine: Hashable, Sendable {
    public private(set) var state = SessionState.idle
    public private(set) var connectRetryCounter: UInt32 = 0
    /// RFC 4271 §8.1.1 DelayOpen
    public var delayOpen: Bool
    /// RFC 4271 §8.1.1 PassiveTcpEstablishment, or the connection is the neighbour's.
    public var isPassive: Bool
    public private(set) var isDelayOpenTimerRunning = false
    /// Negotiated, in seconds; 0 before and without timers.
    public private(set) var holdTime: UInt16 = 0

    /// RFC 4271 §8.2.2: "a large value".
    public static let openHoldTime: UInt16 = 240

    public init(delayOpen: Bool, isPassive: Bool) {
        self.delayOpen = delayOpen
        self.isPassive = isPassive
    }

    public mutating func handle(_ event: SessionEvent, into actions: inout [SessionAction]) {
        switch state {
        case .idle:
            switch event {
            case .start where !isPassive:
                connectRetryCounter = 0
                actions += [.startConnectRetryTimer, .initiateConnection]
                state = .connect
            case .start, .startPassive:
                // No ConnectRetryTimer: it would only make us connect.
                connectRetryCounter = 0
                state = .active
            default: break
            }

        case .connect:
            switch event {
            case .start, .startPassive: break
            case .manualStop(let notification): stop(notification, into: &actions)
            case .connectRetryTimerExpires:
                stopDelayOpen(into: &actions)
                actions += [.dropConnection, .startConnectRetryTimer, .initiateConnection]
            case .delayOpenTimerExpires: sendOpen(into: &actions)
            case .tcpConnected: connected(into: &actions)
            case .tcpFails: connectionFailed(into: &actions)
            case .open(let negotiated) where isDelayOpenTimerRunning: openWhileDelayed(negotiated, into: &actions)
            case .headerError(let notification), .openError(let notification):
                fail(notification, into: &actions)
            case .notificationVersionError where isDelayOpenTimerRunning: quietlyIdle(into: &actions)
            case .openCollisionDump: fail(nil, isCollision: true, into: &actions)
            default: fail(nil, into: &actions)
            }

        case .active:
            switch event {
            case .start, .startPassive: break
            case .manualStop(let notification): stop(notification, into: &actions)
            case .connectRetryTimerExpires:
                guard !isPassive else { break }
                actions += [.startConnectRetryTimer, .initiateConnection]
                state = .connect
            case .delayOpenTimerExpires: sendOpen(into: &actions)
            case .tcpConnected: connected(into: &actions)
            case .tcpFails: connectionFailed(into: &actions)
            case .open(let negotiated) where isDelayOpenTimerRunning: openWhileDelayed(negotiated, into: &actions)
            case .headerError(let notification), .openError(let notification):
                fail(notification, into: &actions)
            case .notificationVersionError where isDelayOpenTimerRunning: quietlyIdle(into: &actions)
            case .openCollisionDump: fail(nil, isCollision: true, into: &actions)
            default: fail(nil, into: &actions)
            }

        case .openSent:
            switch event {
            case .start, .startPassive: break
            case .manualStop(let notification): stop(notification, into: &actions)
            case .automaticStop(let notification): fail(notification, into: &actions)
            case .holdTimerExpires: fail(.holdTimerExpired, into: &actions)
            case .tcpConnected: break
            case .tcpFails: connectionFailed(into: &actions)
            case .open(let negotiated):
                actions += [.stopConnectRetryTimer, .sendKeepalive]
                startNegotiatedTimers(negotiated, into: &actions)
                state = .openConfirm
            case .headerError(let notification), .openError(let notification):
                fail(notification, into: &actions)
            case .openCollisionDump: fail(.cease(.connectionCollision), isCollision: true, into: &actions)
            case .notificationVersionError: quietlyIdle(into: &actions)
            // RFC 4271 §8.2.2 would answer a NOTIFICATION with a NOTIFICATION here; §6.4 forbids to.
            case .notification: fail(nil, into: &actions)
            default: fail(unexpected(event, .unexpectedInOpenSent), into: &actions)
            }

        case .openConfirm:
            switch event {
            case .start, .startPassive: break
            case .manualStop(let notification): stop(notification, into: &actions)
            case .automaticStop(let notification): fail(notification, into: &actions)
            case .holdTimerExpires: fail(.holdTimerExpired, into: &actions)
            case .keepaliveTimerExpires: actions += [.sendKeepalive, .startKeepaliveTimer]
            case .tcpConnected: break
            case .tcpFails, .notification: fail(nil, into: &actions)
            case .notificationVersionError: quietlyIdle(into: &actions)
            case .headerError(let notification), .openError(let notification):
                fail(notification, into: &actions)
            case .openCollisionDump: fail(.cease(.connectionCollision), isCollision: true, into: &actions)
            case .keepalive:
                actions += [.startHoldTimer(holdTime), .announceEstablished]
                state = .established
            default: fail(unexpected(event, .unexpectedInOpenConfirm), into: &actions)
            }

        case .established:
            switch event {
            case .start, .startPassive: break
            case .manualStop(let notification): stop(notification, into: &actions)
            case .automaticStop(let notification): fail(notification, into: &actions)
            case .holdTimerExpires: fail(.holdTimerExpired, into: &actions)
            case .keepaliveTimerExpires: actions += [.sendKeepalive, .startKeepaliveTimer]
            case .tcpConnected: break
            case .tcpFails, .notification, .notificationVersionError: fail(nil, into: &actions)
            case .openCollisionDump: fail(.cease(.connectionCollision), isCollision: true, into: &actions)
            case .keepalive, .update: actions.append(.startHoldTimer(holdTime))
            case .routeRefresh: break
            case .updateError(let notification), .headerError(let notification):
                fail(notification, into: &actions)
            case .sendHoldTimerExpires:
                // RFC 9687 §4: the NOTIFICATION could not be read either.
                actions += [.stopConnectRetryTimer, .releaseResources, .abortConnection]
                connectRetryCounter &+= 1
                actions.append(.dampOscillation)
                enterIdle()
            default: fail(unexpected(event, .unexpectedInEstablished), into: &actions)
            }
        }
    }

    // MARK: what several states do alike

    /// Events 16 and 17 in Connect and Active.
    private mutating func connected(into actions: inout [SessionAction]) {
        actions.append(.stopConnectRetryTimer)
        if delayOpen {
            isDelayOpenTimerRunning = true
            actions.append(.startDelayOpenTimer)
        } else {
            sendOpen(into: &actions)
        }
    }

    private mutating func sendOpen(into actions: inout [SessionAction]) {
        stopDelayOpen(into: &actions)
        actions += [.stopConnectRetryTimer, .sendOpen, .startHoldTimer(Self.openHoldTime)]
        state = .openSent
    }

    /// Event 20 in Connect and Active.
    private mutating func openWhileDelayed(_ negotiated: UInt16, into actions: inout [SessionAction]) {
        stopDelayOpen(into: &actions)
        actions += [.stopConnectRetryTimer, .sendOpen, .sendKeepalive]
        startNegotiatedTimers(negotiated, into: &actions)
        state = .openConfirm
    }

    private mutating func startNegotiatedTimers(_ negotiated: UInt16, into actions: inout [SessionAction]) {
        holdTime = negotiated
        // RFC 4271 §4.4: with a hold time of zero there are no periodic KEEPALIVEs.
        if negotiated > 0 { actions.append(.startKeepaliveTimer) }
        actions.append(.startHoldTimer(negotiated))
    }

    /// Event 18 in Connect, Active and OpenSent: on to Active, and there the ConnectRetryTimer.
    private mutating func connectionFailed(into actions: inout [SessionAction]) {
        stopDelayOpen(into: &actions)
        actions += [.releaseResources, .dropConnection]
        if !isPassive { actions.append(.startConnectRetryTimer) }
        holdTime = 0
        state = .active
    }

    private mutating func stop(
        _ notification: NotificationMessage, into actions: inout [SessionAction]
    ) {
        // SendNOTIFICATIONwithoutOPEN is off: before OPEN the neighbour gets FIN only.
        if state.rawValue >= SessionState.openSent.rawValue { actions.append(.sendNotification(notification)) }
        stopDelayOpen(into: &actions)
        actions += [.stopConnectRetryTimer, .releaseResources, .dropConnection]
        connectRetryCounter = 0
        enterIdle()
    }

    private mutating func fail(
        _ notification: NotificationMessage?, isCollision: Bool = false, into actions: inout [SessionAction]
    ) {
        if let notification, state.rawValue >= SessionState.openSent.rawValue {
            actions.append(.sendNotification(notification))
        }
        stopDelayOpen(into: &actions)
        actions += [.stopConnectRetryTimer, .releaseResources, .dropConnection]
        connectRetryCounter &+= 1
        // The loser of a collision is no failure of the neighbour: the other connection goes on.
        if !isCollision { actions.append(.dampOscillation) }
        enterIdle()
    }

    /// Event 24: without counting, but the next start still waits its time.
    private mutating func quietlyIdle(into actions: inout [SessionAction]) {
        stopDelayOpen(into: &actions)
        actions += [.stopConnectRetryTimer, .releaseResources, .dropConnection, .dampOscillation]
        enterIdle()
    }

    private mutating func enterIdle() {
        holdTime = 0
        state = .idle
    }

    private mutating func stopDelayOpen(into actions: inout [SessionAction]) {
        guard isDelayOpenTimerRunning else { return }
        isDelayOpenTimerRunning = false
        actions.append(.stopDelayOpenTimer)
    }

    /// RFC 6608 §4: the data is the type of the unexpected message; a timer that should not run has no type.
    private func unexpected(
        _ event: SessionEvent, _ subcode: NotificationMessage.StateSubcode
    ) -> NotificationMessage {
        switch event {
        case .open: .state(subcode, [MessageType.open.rawValue])
        case .update, .updateError: .state(subcode, [MessageType.update.rawValue])
        case .keepalive: .state(subcode, [MessageType.keepalive.rawValue])
        case .routeRefresh: .state(subcode, [MessageType.routeRefresh.rawValue])
        case .openError: .state(subcode, [MessageType.open.rawValue])
        default: .state(.unspecified)
        }
    }
}

extension SessionStateMachine: Fielded {
    public static var blank: Self { .init(delayOpen: false, isPassive: false) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&state, "session state")
        try visitor.field(&connectRetryCounter)
        try visitor.field(&delayOpen)
        try visitor.field(&isPassive)
        try visitor.field(&isDelayOpenTimerRunning)
        try visitor.field(&holdTime)
    }
}
