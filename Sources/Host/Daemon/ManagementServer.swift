import CHost
import Foundation
import Glibc
import Management
import NIOCore
import NIOPosix
import Records

/// The operator's socket: lines of JSON over a Unix domain socket, on a thread of its own.
///
/// The socket's directory decides who may connect; the socket itself is for its owner and group.
final class ManagementServer: Sendable {
    /// Connections and requests under way of each; more are told to come back.
    static let connectionsMaximum = 64
    static let requestsMaximum = 32

    private let group: MultiThreadedEventLoopGroup
    private let channel: any NIOCore.Channel
    private let path: String

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(path: String, handler: any ManagementHandler) throws {
        self.path = path
        try Self.clear(path)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        let count = ConnectionCount()
        // Whoever connects between bind and chmod is judged by this mask.
        let mask = umask(0o117)
        defer { umask(mask) }
        do {
            channel = try ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 16)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(ManagementConnection(handler: handler, count: count))
                    }
                }
                .bind(unixDomainSocketPath: path).wait()
        } catch {
            try? group.syncShutdownGracefully()
            throw Failure(description: "management socket \(path): \(error)")
        }
    }

    /// A socket that a process left behind is removed; one that somebody listens on is not.
    private static func clear(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
            } catch {
                throw Failure(description: "management socket \(path): its directory cannot be made: \(error)")
            }
            return
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(description: "management socket \(path): there is a file of another kind")
        }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw Failure(description: "management socket \(path): the path is too long")
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        let connected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected != 0 else {
            throw Failure(description: "management socket \(path): another lockstepd answers there")
        }
        unlink(path)
    }

    func stop() {
        try? channel.close().wait()
        try? group.syncShutdownGracefully()
        unlink(path)
    }
}

/// Touched on the server's one event loop only.
private final class ConnectionCount: @unchecked Sendable {
    var value = 0
}

/// One operator's connection.
private final class ManagementConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let handler: any ManagementHandler
    private let count: ConnectionCount
    private var lines = LineSplitter()
    private var underWay: [UInt64: Task<Void, Never>] = [:]
    private var nextTask: UInt64 = 0

    init(handler: any ManagementHandler, count: ConnectionCount) {
        self.handler = handler
        self.count = count
    }

    func channelActive(context: ChannelHandlerContext) {
        count.value += 1
        if count.value > ManagementServer.connectionsMaximum { context.close(promise: nil) }
    }
    func channelInactive(context: ChannelHandlerContext) {
        count.value -= 1
        for task in underWay.values { task.cancel() }
        underWay.removeAll()
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        do {
            for line in try lines.append(buffer.readBytes(length: buffer.readableBytes) ?? []) { take(line, context) }
        } catch {
            context.close(promise: nil)
        }
    }

    private func take(_ line: [UInt8], _ context: ChannelHandlerContext) {
        let channel = context.channel
        let request: ManagementRequest
        switch ManagementCodec.request(line) {
        case .success(let value): request = value
        case .failure(let refused): return Self.send(refused.response, channel, nil)
        }
        guard underWay.count < ManagementServer.requestsMaximum else {
            return Self.send(ManagementResponse(id: request.id, isFinal: true, result: .failure(ManagementFailure(
                .refused, "more than \(ManagementServer.requestsMaximum) requests are under way"))), channel, nil)
        }
        let number = nextTask
        nextTask += 1
        let finished = NIOLoopBound(self, eventLoop: context.eventLoop)
        let handler = handler
        let task = Task<Void, Never> { @Sendable in
            await Self.answer(request, handler, channel)
            Self.forget(number, finished, channel)
        }
        underWay[number] = task
    }

    private static func forget(
        _ number: UInt64, _ connection: NIOLoopBound<ManagementConnection>, _ channel: any NIOCore.Channel
    ) {
        channel.eventLoop.execute { connection.value.underWay[number] = nil }
    }

    private static func answer(
        _ request: ManagementRequest, _ handler: any ManagementHandler, _ channel: any NIOCore.Channel
    ) async {
        let result = await handler.handle(request.command, author: request.author) { progress in
            try Task.checkCancellation()
            let written = channel.eventLoop.makePromise(of: Void.self)
            send(ManagementResponse(id: request.id, isFinal: false, result: progress), channel, written)
            try await written.futureResult.get()
        }
        send(ManagementResponse(id: request.id, isFinal: true, result: result), channel, nil)
    }

    private static func send(_ response: ManagementResponse, _ channel: any NIOCore.Channel, _ written: EventLoopPromise<Void>?) {
        do {
            let line = try ManagementCodec.line(response)
            channel.writeAndFlush(channel.allocator.buffer(bytes: line), promise: written)
        } catch {
            let failure = ManagementResponse(
                id: response.id, isFinal: response.isFinal,
                result: .failure(ManagementFailure(.failed, "the answer cannot be written as JSON: \(error)")))
            if let line = try? ManagementCodec.line(failure) {
                channel.writeAndFlush(channel.allocator.buffer(bytes: line), promise: written)
            } else {
                written?.fail(error)
            }
        }
    }
}
