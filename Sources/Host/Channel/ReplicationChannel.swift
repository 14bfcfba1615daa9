import CHost
import Glibc
import Identity
import Machine
import Records
import Wire

/// The transport of the replication channel: one TCP connection over the redundancy link, encrypted, that comes back by
/// itself (DESIGN §2, RCM). Controller A listens, controller B connects.
///
/// It belongs to the edge thread. A connection that is not open yet never disturbs the one that is: only when a newcomer
/// has proven to be the twin does it take the other's place.
final class ReplicationChannel {
    enum Happening {
        case opened
        case received([UInt8])
        case closed(reason: String, isProcessDead: Bool, isStreamWhole: Bool)
        case event(Event)
    }
    struct Settings {
        var controller: ControllerID
        var local: IPAddress
        var peer: IPAddress
        var port: UInt16
        /// Unacknowledged octets on the wire for longer than this end the connection.
        var userTimeout = Duration.seconds(2)
    }

    static let listenerToken: UInt64 = 1, openToken: UInt64 = 2, openingToken: UInt64 = 3
    private static let openingLimit: Int64 = 3_000_000_000
    private static let retryShort: Int64 = 100_000_000, retryLong: Int64 = 5_000_000_000
    /// The same complaint is not repeated sooner.
    private static let complaintInterval: Int64 = 60_000_000_000

    private let settings: Settings
    private let identity: Renewable<ChannelIdentity>
    private let poller: Poller
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    private var listener: Int32 = -1
    private var open: ChannelConnection?
    private var opening: ChannelConnection?
    /// When to listen or connect again, CLOCK_BOOTTIME nanoseconds.
    private var retryAt: Int64? = 0
    private var failures = 0
    private var lastComplaint = ""
    private var lastComplaintAt: Int64 = .min
    private(set) var octetsIn: UInt64 = 0
    private(set) var octetsOut: UInt64 = 0

    init(settings: Settings, identity: Renewable<ChannelIdentity>, poller: Poller) {
        self.settings = settings
        self.identity = identity
        self.poller = poller
    }

    deinit {
        if listener >= 0 { Glibc.close(listener) }
        unsafe scratch.deallocate()
    }

    var isOpen: Bool { open != nil }
    var version: String? { open?.version }
    var outgoingCount: Int { open?.outgoingCount ?? 0 }
    private var listens: Bool { settings.controller == .a }

    /// When `tick` has something to do.
    var deadline: Int64? { [retryAt, opening?.openingDeadline].compactMap { $0 }.min() }

    /// Time passed: connects, listens, or gives up waiting.
    func tick(now: Int64, into happenings: inout [Happening]) {
        if let opening, now >= opening.openingDeadline {
            end(opening, .refused("no answer within 3 s"), now, &happenings)
        }
        guard let at = retryAt, now >= at else { return }
        retryAt = nil
        do {
            if listens { try listen() } else { try connect(now) }
        } catch {
            complain(.warning, "redundancy link \(settings.local): \(error)", now, &happenings)
            retry(now)
        }
    }

    private func retry(_ now: Int64) {
        guard !listens || listener < 0 else { return }
        // The twin is usually only starting: often at first, seldom when it keeps on failing.
        retryAt = now + min(Self.retryLong, Self.retryShort << Int64(min(failures / 8, 6)))
        failures += 1
    }

    private func listen() throws {
        let fd = try Sockets.make(SOCK_STREAM, settings.local)
        do {
            try Sockets.set(fd, SOL_SOCKET, SO_REUSEADDR, 1)
            try Sockets.bind(fd, settings.local, settings.port)
            guard Glibc.listen(fd, 4) == 0 else { throw SystemError("listen") }
            try poller.add(fd, token: Self.listenerToken)
        } catch {
            Glibc.close(fd)
            throw error
        }
        listener = fd
        failures = 0
    }

    private func connect(_ now: Int64) throws {
        let fd = try Sockets.make(SOCK_STREAM, settings.local)
        do {
            try Sockets.bind(fd, settings.local, 0)
            tune(fd)
            guard Sockets.connect(fd, settings.peer, settings.port) == 0 || errno == EINPROGRESS else {
                throw SystemError("connect")
            }
        } catch {
            Glibc.close(fd)
            throw error
        }
        try begin(
            ChannelConnection(
                fd: fd, isConnecting: true, identity: identity.value, isServer: false, openingDeadline: now + Self.openingLimit))
    }

    private func begin(_ connection: ChannelConnection) throws {
        opening = connection
        try poller.add(connection.fd, token: Self.openingToken, writable: connection.isConnecting)
        _ = connection.writeInterestChanged()
    }

    private func tune(_ fd: Int32) {
        try? Sockets.set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        try? Sockets.set(fd, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(clamping: settings.userTimeout.inMilliseconds))
        // CS6, and the first of the host's queues: the twin's heartbeats are network control.
        try? Sockets.set(fd, SOL_SOCKET, SO_PRIORITY, 6)
        switch settings.local {
        case .v4: try? Sockets.set(fd, Int32(IPPROTO_IP), IP_TOS, 0xc0)
        case .v6: try? Sockets.set(fd, Int32(IPPROTO_IPV6), IPV6_TCLASS, 0xc0)
        }
    }

    /// A descriptor of ours is ready.
    func ready(_ readiness: Poller.Readiness, now: Int64, into happenings: inout [Happening]) {
        switch readiness.token {
        case Self.listenerToken: accept(now, &happenings)
        case Self.openToken: if let open { drive(open, readiness, now, &happenings) }
        case Self.openingToken: if let opening { drive(opening, readiness, now, &happenings) }
        default: break
        }
    }

    private func accept(_ now: Int64, _ happenings: inout [Happening]) {
        guard let (fd, from) = Sockets.accept(listener) else { return }
        guard from == settings.peer else {
            Glibc.close(fd)
            complain(
                .warning,
                "redundancy channel: a connection from \(from.map(\.description) ?? "nowhere") is refused, "
                    + "the twin is \(settings.peer)", now, &happenings)
            return
        }
        tune(fd)
        // The newest attempt is the one that the twin still wants.
        if let opening { drop(opening) }
        do {
            try begin(
                ChannelConnection(
                    fd: fd, isConnecting: false, identity: identity.value, isServer: true,
                    openingDeadline: now + Self.openingLimit))
        } catch {
            opening = nil
            complain(.warning, "redundancy channel: \(error)", now, &happenings)
        }
    }

    private func drive(
        _ connection: ChannelConnection, _ readiness: Poller.Readiness, _ now: Int64, _ happenings: inout [Happening]
    ) {
        do {
            if readiness.isWritable || readiness.isBroken { try connection.becameWritable() }
            if readiness.isReadable || readiness.isBroken {
                var portions: [[UInt8]] = []
                defer {
                    if connection.isOpen, connection === opening { promote(connection, &happenings) }
                    for portion in portions {
                        octetsIn += UInt64(portion.count)
                        happenings.append(.received(portion))
                    }
                }
                try unsafe connection.read(into: scratch) { portions.append($0) }
            }
            updateInterest(connection)
        } catch {
            end(connection, error, now, &happenings)
        }
    }

    private func promote(_ connection: ChannelConnection, _ happenings: inout [Happening]) {
        if let before = open {
            drop(before)
            happenings.append(.closed(reason: "the twin opened a new connection", isProcessDead: false, isStreamWhole: false))
        }
        opening = nil
        open = connection
        failures = 0
        lastComplaint = ""
        poller.change(connection.fd, token: Self.openToken, writable: false)
        _ = connection.writeInterestChanged()
        updateInterest(connection, force: true)
        happenings.append(.event(Event(.info, "host", "redundancy channel to \(settings.peer) is open (\(connection.version))")))
        happenings.append(.opened)
    }

    private func updateInterest(_ connection: ChannelConnection, force: Bool = false) {
        let changed = connection.writeInterestChanged()
        guard let wants = changed ?? (force ? connection.outgoingCount > 0 : nil) else { return }
        poller.change(connection.fd, token: connection === open ? Self.openToken : Self.openingToken, writable: wants)
    }

    private func drop(_ connection: ChannelConnection) {
        poller.remove(connection.fd)
        if connection === open { open = nil }
        if connection === opening { opening = nil }
    }

    private func end(
        _ connection: ChannelConnection, _ end: ChannelConnection.End, _ now: Int64, _ happenings: inout [Happening]
    ) {
        let wasOpen = connection === open
        drop(connection)
        if wasOpen {
            var isDead = false, isStreamWhole = false
            if case .dead(_, let isWhole) = end { (isDead, isStreamWhole) = (true, isWhole) }
            happenings.append(.closed(reason: end.description, isProcessDead: isDead, isStreamWhole: isStreamWhole))
            failures = 0
            retry(now)
            return
        }
        if case .refused = end {
            complain(.warning, "redundancy channel to \(settings.peer): \(end)", now, &happenings)
            failures = max(failures, 24)
        }
        if open == nil { retry(now) }
    }

    private func complain(_ severity: Event.Severity, _ text: String, _ now: Int64, _ happenings: inout [Happening]) {
        guard text != lastComplaint || now - lastComplaintAt > Self.complaintInterval else { return }
        lastComplaint = text
        lastComplaintAt = now
        happenings.append(.event(Event(severity, "host", text)))
    }

    // MARK: sending

    /// Octets for the twin; they go with `flush`. Ignored while there is no channel.
    func send(_ bytes: [UInt8]) {
        octetsOut += UInt64(bytes.count)
        open?.queue(bytes)
    }

    /// The end of a turn: everything queued goes out.
    func flush(now: Int64, into happenings: inout [Happening]) {
        guard let open else { return }
        do {
            try open.flush()
            updateInterest(open)
        } catch {
            end(open, error, now, &happenings)
        }
    }

    /// Ends the connection on purpose, and tries for a new one after a moment.
    func close(now: Int64) {
        if let open {
            open.sayFarewell()
            drop(open)
        }
        failures = max(failures, 16)
        retry(now)
    }
}
