import CHost
import Glibc
import NIOCore

/// One TCP connection of the replication channel: the socket, its encryption, and a preamble of one octet by which each
/// end learns that the other has accepted it (in TLS 1.3 a client is done before the server has judged its certificate).
///
/// Plain text (`insecure`) is cut into chunks with a length in front, so that a deliberate end (length 0) can be told
/// from the death of the other process; with TLS the close_notify alert does that.
final class ChannelConnection {
    enum End: Error, CustomStringConvertible {
        /// The twin said goodbye.
        case farewell
        /// The kernel says that nobody is there any more.
        /// `isWhole`: all that it had sent has been read, because the kernel said so in order and did not break off.
        case dead(String, isWhole: Bool = false)
        /// Not our twin, or it speaks nonsense.
        case refused(String)
        /// Trouble of our own.
        case failed(String)

        var description: String {
            switch self {
            case .farewell: "closed by the twin"
            case .dead(let text, _), .refused(let text), .failed(let text): text
            }
        }
    }

    private static let preamble: UInt8 = 0x4c
    /// Octets that may wait for the socket; a twin that reads so slowly is as good as lost.
    static let outgoingMaximum = 256 << 20
    private static let chunkMaximum = 1 << 20

    let fd: Int32
    private let session: SecureSession
    private let isPlain: Bool
    private(set) var isConnecting: Bool
    private var didSendPreamble = false
    private(set) var isOpen = false
    /// Handshake and preamble must be done by then, CLOCK_BOOTTIME nanoseconds.
    let openingDeadline: Int64
    private var wantsWrite = false
    private var waiting = ByteBuffer()
    /// Plain text: octets left of the chunk being read.
    private var chunkLeft = 0

    /// Takes over the descriptor.
    init(fd: Int32, isConnecting: Bool, identity: ChannelIdentity, isServer: Bool, openingDeadline: Int64) throws {
        self.fd = fd
        self.isConnecting = isConnecting
        self.openingDeadline = openingDeadline
        isPlain = identity.client == nil
        do {
            session = try SecureSession(identity: identity, isServer: isServer)
        } catch {
            close(fd)
            throw error
        }
    }

    deinit { close(fd) }

    var version: String { session.version }
    var outgoingCount: Int { session.outgoing.readableBytes + waiting.readableBytes }

    /// Reads what is there, up to half a megabyte, and hands plaintext to `body`.
    func read(into scratch: UnsafeMutableRawBufferPointer, _ body: ([UInt8]) -> Void) throws(End) {
        var left = 512 << 10
        while left > 0 {
            let count = unsafe recv(fd, scratch.baseAddress!, scratch.count, 0)
            if count > 0 {
                left -= count
                do {
                    try unsafe session.receive(UnsafeRawBufferPointer(rebasing: scratch[..<count]))
                } catch {
                    // The alert that says why should reach the other end.
                    try? flushSocket()
                    if isOpen, "\(error)" == "closed by the twin" { throw .farewell }
                    throw .refused("\(error)")
                }
                try progress()
                try deliver(body)
                if count < scratch.count { return }
            } else if count == 0 {
                throw .dead(isOpen ? "the twin's process ended" : "closed before it was open", isWhole: true)
            } else {
                let code = errno
                if code == EINTR { continue }
                if code == EAGAIN { return }
                throw .dead(SystemError.text(of: code))
            }
        }
    }

    private func deliver(_ body: ([UInt8]) -> Void) throws(End) {
        if !isOpen {
            guard let octet = session.received.getInteger(at: session.received.readerIndex, as: UInt8.self) else { return }
            session.didRead(1)
            guard octet == Self.preamble else { throw .refused("the other end does not speak the channel's protocol") }
            isOpen = true
        }
        guard isPlain else {
            let count = session.received.readableBytes
            guard count > 0 else { return }
            body(session.received.getBytes(at: session.received.readerIndex, length: count)!)
            session.didRead(count)
            return
        }
        while true {
            if chunkLeft == 0 {
                guard let length = session.received.getInteger(at: session.received.readerIndex, as: UInt32.self) else { return }
                session.didRead(4)
                if length == 0 { throw .farewell }
                guard length <= Self.chunkMaximum else { throw .refused("the other end does not speak the channel's protocol") }
                chunkLeft = Int(length)
            }
            let count = min(chunkLeft, session.received.readableBytes)
            guard count > 0 else { return }
            chunkLeft -= count
            body(session.received.getBytes(at: session.received.readerIndex, length: count)!)
            session.didRead(count)
        }
    }

    /// The socket can take octets (or a connect has come to its end).
    func becameWritable() throws(End) {
        if isConnecting {
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size)
            guard code == 0 else { throw .dead(SystemError.text(of: code)) }
            isConnecting = false
        }
        try progress()
        try flush()
    }

    private func progress() throws(End) {
        if session.isEstablished, !didSendPreamble {
            didSendPreamble = true
            do { try session.send(ByteBuffer(bytes: [Self.preamble])) } catch { throw .failed("\(error)") }
        }
        if session.outgoing.readableBytes > 0 { try flushSocket() }
    }

    /// Queues octets for `flush`, so that many small messages of one turn become one record of TLS.
    func queue(_ bytes: [UInt8]) {
        guard isPlain else {
            waiting.writeBytes(bytes)
            return
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.chunkMaximum)
            waiting.writeInteger(UInt32(part.count))
            waiting.writeBytes(part)
            rest = rest.dropFirst(part.count)
        }
    }

    func flush() throws(End) {
        if waiting.readableBytes > 0 {
            guard outgoingCount <= Self.outgoingMaximum else { throw .failed("the twin does not read") }
            do { try session.send(waiting) } catch { throw .failed("\(error)") }
            // The session may still hold the buffer; writing to it again would copy it.
            waiting = ByteBuffer()
        }
        try flushSocket()
    }

    private func flushSocket() throws(End) {
        guard !isConnecting else { return }
        while session.outgoing.readableBytes > 0 {
            let count = unsafe session.outgoing.withUnsafeReadableBytes {
                unsafe Glibc.send(fd, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                session.didSend(count)
            } else {
                let code = errno
                if code == EINTR { continue }
                if code == EAGAIN { break }
                throw .dead(SystemError.text(of: code))
            }
        }
    }

    /// Whether the poller should say when the socket takes more; only changes are worth a system call.
    func writeInterestChanged() -> Bool? {
        let wants = isConnecting || session.outgoing.readableBytes > 0
        guard wants != wantsWrite else { return nil }
        wantsWrite = wants
        return wants
    }

    /// Says goodbye as far as the socket takes it. The connection is of no use after that.
    func sayFarewell() {
        if isPlain {
            if didSendPreamble { try? session.send(ByteBuffer(bytes: [0, 0, 0, 0])) }
        } else {
            session.shutDown()
        }
        try? flushSocket()
    }
}
