import Machine
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One connection to a member, which stays open: HTTP/1.1, requests one behind the other.
///
/// Unchecked for the promises' sake; it belongs to one event loop.
final class EtcdConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart
    typealias Answer = (status: HTTPResponseStatus, body: [UInt8])

    /// Octets of an answer. A pair's keys are a few hundred.
    private static let answerMaximum = 1 << 20

    private let host: String
    private let port: Int
    private let authority: String
    private let patience: Duration
    private let loop: any EventLoop
    /// Requests that have no answer yet, oldest first.
    private var waiting: [EventLoopPromise<Answer>] = []
    private var answer: Answer = (.ok, [])
    private var channel: EventLoopFuture<any Channel>?
    private(set) var isOpen = true

    /// - Parameter endpoint: scheme, host and port, as the configuration checks it.
    init(_ endpoint: String, _ tls: NIOSSLContext?, _ patience: Duration, _ loop: any EventLoop) {
        authority = String(endpoint[(endpoint.range(of: "://")?.upperBound ?? endpoint.startIndex)...])
        let colon = authority.lastIndex(of: ":") ?? authority.endIndex
        host = String(authority[..<colon].filter { $0 != "[" && $0 != "]" })
        port = Int(authority[colon...].dropFirst()) ?? 2379
        self.patience = patience
        self.loop = loop
        let context = endpoint.hasPrefix("https:") ? tls : nil
        let name = host
        // The member's certificate holds the name, or the address that we connect to.
        let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(patience.inNanoseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if let context {
                        try operations.addHandler(NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : name))
                    }
                    try operations.addHTTPClientHandlers()
                    try operations.addHandler(self)
                }
            }
            .connect(host: host, port: port)
        channel = connecting
        connecting.whenFailure { [self] error in close(Self.explain(error)) }
    }

    func post(_ path: String, _ body: [UInt8], token: String?) -> EventLoopFuture<Answer> {
        let promise = loop.makePromise(of: Answer.self)
        guard let channel, isOpen else {
            promise.fail(EtcdError(description: "the connection is closed", isInDoubt: false))
            return promise.futureResult
        }
        waiting.append(promise)
        let alarm = loop.scheduleTask(in: .nanoseconds(patience.inNanoseconds)) { [self] in
            close("no answer within \(patience.inMilliseconds) ms")
        }
        promise.futureResult.whenComplete { _ in alarm.cancel() }
        var headers: HTTPHeaders = [
            "Host": authority, "Content-Type": "application/json", "Content-Length": String(body.count),
        ]
        if let token { headers.add(name: "Authorization", value: token) }
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path, headers: headers)
        channel.whenSuccess { channel in
            channel.write(HTTPClientRequestPart.head(head), promise: nil)
            channel.write(HTTPClientRequestPart.body(.byteBuffer(channel.allocator.buffer(bytes: body))), promise: nil)
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        }
        return promise.futureResult
    }

    func close(_ reason: String) { close(EtcdError(description: "\(authority): \(reason)")) }

    /// Whatever has no answer yet is told why.
    func close(_ error: EtcdError) {
        guard isOpen else { return }
        isOpen = false
        channel?.whenSuccess { $0.close(promise: nil) }
        channel = nil
        let open = waiting
        waiting = []
        for promise in open { promise.fail(error) }
    }

    // MARK: the channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): answer = (head.status, [])
        case .body(let part):
            guard answer.body.count + part.readableBytes <= Self.answerMaximum else { return close("it answers too much") }
            answer.body += part.readableBytesView
        case .end:
            guard !waiting.isEmpty else { return close("it answers what was not asked") }
            waiting.removeFirst().succeed(answer)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(Self.explain(error)) }

    func channelInactive(context: ChannelHandlerContext) {
        close("the connection was closed")
        context.fireChannelInactive()
    }

    /// Words for an operator instead of a library's.
    private static func explain(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return "\(first.error)" }
            if let failure = error.dnsAError ?? error.dnsAAAAError { return "\(error.host): \(failure)" }
        }
        let text = "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate") {
            return "its certificate is of no authority that we trust, or is another host's"
        }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") { return "it does not speak TLS" }
        return text
    }
}
