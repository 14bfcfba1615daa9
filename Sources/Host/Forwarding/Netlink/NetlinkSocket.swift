import CHost
import Glibc

/// A netlink socket: requests that the kernel carries out within `send`, answers, dumps, notifications.
///
/// Not libnl, weighed: of its 40,000 lines we would use the framing of messages, which is what `NetlinkBatch` and
/// `NetlinkReader` are. It allocates an object for each message and attribute where we write sixty octets into memory
/// that is there, it hides how many messages one system call takes, and it would be one more library on the host.
final class NetlinkSocket {
    struct Failure: Error, CustomStringConvertible {
        var code: Int32
        var text: String?
        var description: String { text.map { "\(SystemError.text(of: code)): \($0)" } ?? SystemError.text(of: code) }
    }
    enum Received {
        case nothing, messages
        /// ENOBUFS: the kernel had more to say than the buffer could hold. What was lost is not known.
        case overrun
    }

    let fd: Int32
    let port: UInt32
    private let buffer: UnsafeMutableRawBufferPointer
    private var sequence: UInt32 = 0
    /// For single requests.
    let scratch = NetlinkBatch(capacity: 16 << 10)

    /// - Parameter ignored: the socket whose own doings are not to be notified of.
    init(
        _ netlinkProtocol: Int32 = NetlinkProtocol.route, receiveBuffer: Int32 = 4 << 20, groups: [Int32] = [],
        ignored: UInt32? = nil
    ) throws {
        fd = chost_netlink_open(netlinkProtocol, 1 << 20, receiveBuffer)
        guard fd >= 0 else { throw SystemError("netlink", -fd) }
        port = chost_netlink_port(fd)
        unsafe buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
        if let ignored { _ = chost_netlink_ignore(fd, ignored) }
        for group in groups {
            let code = chost_netlink_join(fd, group)
            guard code == 0 else { throw SystemError("netlink group \(group)", code) }
        }
    }
    deinit {
        close(fd)
        unsafe buffer.deallocate()
    }

    func nextSequence() -> UInt32 {
        sequence &+= 1
        return sequence
    }

    /// Gives the messages to the kernel, which works through all of them before this returns: the time that this takes
    /// is the back-pressure. Returns 0 or the errno of the call itself; errors of single messages come by `receive`.
    func send(_ batch: NetlinkBatch) -> Int32 {
        while true {
            let sent = unsafe Glibc.send(fd, batch.bytes.baseAddress, batch.bytes.count, 0)
            if sent >= 0 { return 0 }
            if errno != EINTR { return errno }
        }
    }

    /// One datagram. Waits for it only if `waits`.
    func receive(waits: Bool = false, _ visit: (borrowing NetlinkMessage) -> Void) -> Received {
        while true {
            let count = unsafe recv(fd, buffer.baseAddress, buffer.count, waits ? 0 : Int32(MSG_DONTWAIT))
            if count < 0 {
                if errno == EINTR { continue }
                return errno == ENOBUFS ? .overrun : .nothing
            }
            if count == 0 { return .nothing }
            let datagram = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(buffer.baseAddress!), byteCount: count)
            NetlinkReader.messages(datagram, visit)
            return .messages
        }
    }

    /// One request with its answer. `build` writes family header and attributes.
    func request(
        _ type: UInt16, flags: UInt16 = 0, _ build: (NetlinkBatch) -> Void,
        answer: (borrowing NetlinkMessage) -> Void = { _ in }
    ) throws(Failure) {
        let number = nextSequence()
        scratch.removeAll()
        scratch.begin(type, flags: flags | NetlinkFlag.acknowledge, sequence: number)
        build(scratch)
        scratch.end()
        let status = send(scratch)
        guard status == 0 else { throw Failure(code: status) }
        try awaitEnd(of: number, answer)
    }

    /// All of a kind. What changes meanwhile may make the kernel's answer torn; then it is asked once more, so `visit`
    /// may see things twice.
    func dump(
        _ type: UInt16, _ build: (NetlinkBatch) -> Void, _ visit: (borrowing NetlinkMessage) -> Void
    ) throws(Failure) {
        for attempt in 0..<4 {
            let number = nextSequence()
            scratch.removeAll()
            scratch.begin(type, flags: NetlinkFlag.dump, sequence: number)
            build(scratch)
            scratch.end()
            let status = send(scratch)
            guard status == 0 else { throw Failure(code: status) }
            var isTorn = false
            try awaitEnd(of: number) { message in
                if message.flags & NetlinkFlag.dumpInterrupted != 0 { isTorn = true }
                visit(message)
            }
            // Torn for ever where somebody else never rests; what we have is then as good as any.
            if !isTorn || attempt == 3 { return }
        }
    }

    private func awaitEnd(
        of number: UInt32, _ visit: (borrowing NetlinkMessage) -> Void
    ) throws(Failure) {
        var failure: Failure?
        var isOver = false
        while !isOver {
            let received = receive(waits: true) { message in
                // An answer to something before, whose turn is over.
                guard message.sequence == number else { return }
                switch message.type {
                case NetlinkType.error, NetlinkType.done:
                    isOver = true
                    let code = message.errorCode
                    if code != 0 { failure = Failure(code: code, text: message.errorText) }
                default:
                    visit(message)
                }
            }
            switch received {
            case .messages: break
            case .overrun: throw Failure(code: ENOBUFS)
            case .nothing: throw Failure(code: EIO)
            }
        }
        if let failure { throw failure }
    }
}
