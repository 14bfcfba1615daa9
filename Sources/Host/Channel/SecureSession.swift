import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS

/// One end of the channel's encryption as a synchronous machine: octets from the socket in, plaintext out, and back.
///
/// It drives swift-nio-ssl on an embedded channel, so everything happens on the caller's thread and at once; there is no
/// second event loop and no hop in the way of an acknowledgement. Without an identity it passes octets through.
/// Not to be used from two threads.
final class SecureSession {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let channel: EmbeddedChannel?
    private let identity: ChannelIdentity
    private let observer = Observer()
    /// Plaintext that has arrived.
    private(set) var received = ByteBuffer()
    /// What must go to the socket.
    private(set) var outgoing = ByteBuffer()
    /// Both ends have proven who they are. (A client learns that the server refused it only from what follows.)
    private(set) var isEstablished = false
    /// As negotiated, for display.
    private(set) var version = "plain"

    init(identity: ChannelIdentity, isServer: Bool) throws {
        self.identity = identity
        guard let handler = try identity.makeHandler(isServer: isServer) else {
            channel = nil
            isEstablished = true
            return
        }
        let channel = EmbeddedChannel()
        self.channel = channel
        try channel.pipeline.syncOperations.addHandlers([handler, observer])
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
        try collect()
    }

    deinit {
        // Without this the embedded channel would hold its handlers in a cycle.
        channel?.close(promise: nil)
        channel?.embeddedEventLoop.run()
    }

    /// Takes octets from the socket. Throws when the other end is not who it must be, or speaks nonsense.
    func receive(_ bytes: UnsafeRawBufferPointer) throws {
        guard let channel else {
            unsafe received.writeBytes(bytes)
            return
        }
        var buffer = channel.allocator.buffer(capacity: bytes.count)
        unsafe buffer.writeBytes(bytes)
        do {
            try channel.writeInbound(buffer)
        } catch {
            // An alert for the other end may be waiting; it is worth sending.
            try? collect()
            throw Failure(description: Self.explain(error))
        }
        try collect()
    }

    /// Encrypts plaintext; the result is in `outgoing`.
    func send(_ bytes: ByteBuffer) throws {
        guard let channel else {
            var bytes = bytes
            outgoing.writeBuffer(&bytes)
            return
        }
        // The promise would only tell what `collect` finds anyway.
        channel.pipeline.writeAndFlush(bytes, promise: nil)
        try collect()
    }

    /// Puts a close_notify into `outgoing`.
    func shutDown() {
        guard let channel else { return }
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
        while var part = try? channel.readOutbound(as: ByteBuffer.self) { outgoing.writeBuffer(&part) }
    }

    /// Tells that `count` octets of `outgoing` are on their way.
    func didSend(_ count: Int) {
        outgoing.moveReaderIndex(forwardBy: count)
        Self.reclaim(&outgoing)
    }

    /// Takes `count` octets of plaintext.
    func didRead(_ count: Int) {
        received.moveReaderIndex(forwardBy: count)
        Self.reclaim(&received)
    }

    private static func reclaim(_ buffer: inout ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer.clear(minimumCapacity: min(buffer.capacity, 1 << 20))
        } else if buffer.readerIndex > 1 << 20 {
            buffer.discardReadBytes()
        }
    }

    private func collect() throws {
        guard let channel else { return }
        // Promises that are done (a verified certificate) continue by tasks of the loop.
        channel.embeddedEventLoop.run()
        while var part = try channel.readOutbound(as: ByteBuffer.self) { outgoing.writeBuffer(&part) }
        while var part = try channel.readInbound(as: ByteBuffer.self) { received.writeBuffer(&part) }
        if let error = observer.error { throw Failure(description: Self.explain(error)) }
        if observer.isClosed { throw Failure(description: "closed by the twin") }
        if observer.isHandshakeDone, !isEstablished {
            if let certificate = try channel.pipeline.syncOperations.nioSSL_peerCertificate() {
                guard identity.accepts(certificate) else {
                    throw Failure(
                        description: "the twin's certificate does not carry the name \(identity.expectedPeerName ?? "")")
                }
            } else {
                throw Failure(description: "the twin showed no certificate")
            }
            version = "\(try channel.pipeline.syncOperations.nioSSL_tlsVersion().map { "\($0)" } ?? "TLS")"
            isEstablished = true
        }
    }

    /// Words for an operator instead of a library's.
    private static func explain(_ error: any Error) -> String {
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate") {
            return "the twin holds another key, or a certificate that our authority did not sign or that has ended"
        }
        if text.contains("ALERT_BAD_CERTIFICATE") || text.contains("ALERT_CERTIFICATE") || text.contains("UNKNOWN_CA")
            || text.contains("ALERT_DECRYPT") || text.contains("ALERT_UNKNOWN")
        {
            return "the twin refuses our key or certificate"
        }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") || text.contains("UNSUPPORTED_PROTOCOL") {
            return "the other end does not speak TLS 1.3"
        }
        if text.contains("uncleanShutdown") { return "closed by the twin" }
        return text
    }

    private final class Observer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var isHandshakeDone = false
        var isClosed = false
        var error: (any Error)?

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted = event as? TLSUserEvent { isHandshakeDone = true }
            if case .shutdownCompleted = event as? TLSUserEvent { isClosed = true }
            context.fireUserInboundEventTriggered(event)
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if self.error == nil { self.error = error }
        }
        func channelInactive(context: ChannelHandlerContext) { isClosed = true }
    }
}
