import CHost
import Glibc
import Machine
import Records
import Redundancy
import Wire

/// The datagrams of the redundancy link, beside the channel's TCP: beats and the dying gasp.
///
/// One connected UDP socket of the edge thread. A redundancy link that is down when the process starts, or loses its
/// address while it runs, is not a reason to end: the socket is opened again and again. That the twin's host refuses a
/// datagram is news by itself: the kernel there says that nobody listens any more.
final class LinkDatagrams {
    static let retryInterval: Int64 = 200_000_000
    /// What one turn takes in: a flood from the twin's address must not keep anybody else waiting.
    private static let perTurn = 64
    /// Above the channel's descriptors: a dead process's files close from the highest down, so that when the channel's end
    /// is seen this port is closed already.
    private static let floor: Int32 = 384

    private let local: IPAddress
    private let peer: IPAddress
    private let port: UInt16
    private let poller: Poller
    private let token: UInt64
    private var fd: Int32 = -1
    private var gasp: [UInt8]?
    private(set) var retryAt: Int64? = 0
    private var wasRefused = false
    private var lastFailure = ""

    init(local: IPAddress, peer: IPAddress, port: UInt16, poller: Poller, token: UInt64) {
        self.local = local
        self.peer = peer
        self.port = port
        self.poller = poller
        self.token = token
    }

    deinit { if fd >= 0 { close(fd) } }

    /// Time passed. Returns what an operator should know.
    func tick(now: Int64) -> Event? {
        guard let at = retryAt, now >= at else { return nil }
        retryAt = nil
        do {
            try open()
            defer { lastFailure = "" }
            return lastFailure.isEmpty ? nil : Event(.notice, "host", "redundancy link \(local): datagrams pass again")
        } catch {
            retryAt = now + Self.retryInterval
            let text = "\(error)"
            guard text != lastFailure else { return nil }
            lastFailure = text
            return Event(.alarm, "host", "redundancy link \(local): no heartbeats can be sent: \(text)")
        }
    }

    private func open() throws {
        let made = try Sockets.make(SOCK_DGRAM, local)
        let descriptor = Sockets.raise(made, above: Self.floor)
        do {
            // Without SO_REUSEADDR: nobody else on this host shall share the port, and datagrams know no TIME-WAIT.
            // CS6, and the first of the host's queues: network control.
            try Sockets.set(descriptor, SOL_SOCKET, SO_PRIORITY, 6)
            switch local {
            case .v4: try? Sockets.set(descriptor, Int32(IPPROTO_IP), IP_TOS, 0xc0)
            case .v6: try? Sockets.set(descriptor, Int32(IPPROTO_IPV6), IPV6_TCLASS, 0xc0)
            }
            try Sockets.bind(descriptor, local, port)
            guard Sockets.connect(descriptor, peer, port) == 0 else { throw SystemError("connect \(peer):\(port)") }
            try poller.add(descriptor, token: token)
        } catch {
            close(descriptor)
            throw error
        }
        fd = descriptor
        prepareGasp(gasp)
    }

    private func reopen(now: Int64) {
        if fd >= 0 {
            Gasp.prepare(fd: -1, message: nil)
            poller.remove(fd)
            close(fd)
        }
        fd = -1
        retryAt = now + Self.retryInterval
    }

    /// What has come. Refusals are told after the datagrams that came before them.
    func receive(now: Int64, _ body: (ControllerInputOfLink) -> Void) {
        for _ in 0..<Self.perTurn where fd >= 0 {
            let datagram = [UInt8](unsafeUninitializedCapacity: Beat.datagramMaximum) { buffer, count in
                count = max(0, unsafe recv(fd, buffer.baseAddress!, buffer.count, 0))
                if count == 0 { count = 0 }
            }
            if !datagram.isEmpty {
                body(.datagram(datagram))
                continue
            }
            let code = errno
            if code == ECONNREFUSED || code == EINTR {
                if code == ECONNREFUSED { body(.refused) }
                continue
            }
            if code != EAGAIN, code != 0 { note(code, now) }
            break
        }
        if wasRefused {
            wasRefused = false
            body(.refused)
        }
    }

    func send(_ datagram: [UInt8], now: Int64) {
        guard fd >= 0 else { return }
        for _ in 0..<2 {
            let sent = unsafe datagram.withUnsafeBytes { unsafe Glibc.send(fd, $0.baseAddress!, $0.count, Int32(MSG_DONTWAIT)) }
            if sent >= 0 { return }
            let code = errno
            // The answer to an earlier datagram, told at this one, which has not left.
            guard code == ECONNREFUSED else { return note(code, now) }
            wasRefused = true
        }
    }
    /// A refusal was met while sending and waits to be told by `receive`.
    var hasNews: Bool { wasRefused }

    private func note(_ code: Int32, _ now: Int64) {
        switch code {
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EAGAIN, ENOBUFS, EPERM: break  // the link is down, or full, for now
        default: reopen(now: now)
        }
    }

    func prepareGasp(_ message: [UInt8]?) {
        gasp = message
        guard fd >= 0 else { return }
        Gasp.prepare(
            fd: fd, message: message, indexOffset: DyingGasp.indexOffset, messageOffset: DyingGasp.messageOffset,
            frameOffset: DyingGasp.frameOffset)
    }
}

/// What the link brought.
enum ControllerInputOfLink {
    case datagram([UInt8])
    case refused
}
