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
    /// Connections; more are closed. And requests under way of each; more wait.
    static let connectionsMaximum = 64
    static let requestsMaximum = 4

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
        let budget = ServerBudget()
        // Whoever connects between bind and chmod is judged by this mask.
        let mask = umask(0o117)
        defer { umask(mask) }
        do {
            channel = try ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 16)
                .childChannelOption(.autoRead, value: false)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(ManagementConnection(handler: handler, budget: budget))
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

/// What all connections together may cost. Touched on the server's one event loop only.
private final class ServerBudget: @unchecked Sendable {
    /// Octets of answers that nobody has read yet, and of lines whose end has not come.
    static let unsentMaximum = 64 << 20
    static let unfinishedMaximum = 32 << 20

    var connections = 0
    var unsent = 0
    var unfinished = 0
}

/// One operator's connection.
///
/// It is read only while its answers are: what an operator does not take in waits in the kernel, as requests, and costs
/// nothing here. Whoever still makes the server hold too much loses the connection, and nobody else anything.
private final class ManagementConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let handler: any ManagementHandler
    private let budget: ServerBudget
    private var lines = LineSplitter()
    private var underWay: [UInt64: Task<Void, Never>] = [:]
    private var nextTask: UInt64 = 0
    /// Lines that came with others and are not taken yet.
    private var waiting: ArraySlice<[UInt8]> = []
    private var isPaused = false
    private var unsent = 0
    private var unfinished = 0

    init(handler: any ManagementHandler, budget: ServerBudget) {
        self.handler = handler
        self.budget = budget
    }

    func channelActive(context: ChannelHandlerContext) {
        budget.connections += 1
        guard budget.connections <= ManagementServer.connectionsMaximum else { return context.close(promise: nil) }
        context.read()
    }
    func channelInactive(context: ChannelHandlerContext) {
        budget.connections -= 1
        budget.unsent -= unsent
        budget.unfinished -= unfinished
        (unsent, unfinished) = (0, 0)
        waiting = []
        for task in underWay.values { task.cancel() }
        underWay.removeAll()
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        do {
            waiting += try lines.append(buffer.readBytes(length: buffer.readableBytes) ?? [])
            budget.unfinished += lines.pendingOctets - unfinished
            unfinished = lines.pendingOctets
            guard budget.unfinished <= ServerBudget.unfinishedMaximum else { return context.close(promise: nil) }
        } catch {
            context.close(promise: nil)
        }
    }
    func channelReadComplete(context: ChannelHandlerContext) {
        isPaused = true
        goOn(context)
    }
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        goOn(context)
        context.fireChannelWritabilityChanged()
    }

    /// Takes lines, and then more octets, as long as answers go out.
    private func goOn(_ context: ChannelHandlerContext) {
        while context.channel.isActive, context.channel.isWritable, underWay.count < ManagementServer.requestsMaximum {
            guard let line = waiting.popFirst() else {
                guard isPaused else { return }
                isPaused = false
                return context.read()
            }
            take(line, context)
        }
    }

    private func take(_ line: [UInt8], _ context: ChannelHandlerContext) {
        let request: ManagementRequest
        switch ManagementCodec.request(line) {
        case .success(let value): request = value
        case .failure(let refused): return send(refused.response, context, nil)
        }
        let number = nextTask
        nextTask += 1
        let connection = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let (handler, loop) = (handler, context.eventLoop)
        underWay[number] = Task<Void, Never> { @Sendable in
            let result = await handler.handle(request.command, author: request.author) { progress in
                try Task.checkCancellation()
                let written = loop.makePromise(of: Void.self)
                let response = ManagementResponse(id: request.id, isFinal: false, result: progress)
                loop.execute { connection.value.0.send(response, connection.value.1, written) }
                try await written.futureResult.get()
            }
            let response = ManagementResponse(id: request.id, isFinal: true, result: result)
            loop.execute {
                let (connection, context) = connection.value
                // Gone meanwhile.
                guard connection.underWay.removeValue(forKey: number) != nil else { return }
                connection.send(response, context, nil)
                connection.goOn(context)
            }
        }
    }

    private func send(_ response: ManagementResponse, _ context: ChannelHandlerContext, _ written: EventLoopPromise<Void>?) {
        let promise = written ?? context.eventLoop.makePromise(of: Void.self)
        guard context.channel.isActive, let line = Self.line(response) else {
            return promise.fail(ChannelError.ioOnClosedChannel)
        }
        let count = line.count
        unsent += count
        budget.unsent += count
        guard budget.unsent <= ServerBudget.unsentMaximum else {
            promise.fail(ChannelError.ioOnClosedChannel)
            return context.close(promise: nil)
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { _ in
            // Closed meanwhile: all of it was given back.
            let connection = bound.value, given = min(count, connection.unsent)
            connection.unsent -= given
            connection.budget.unsent -= given
        }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: line)), promise: promise)
    }

    private static func line(_ response: ManagementResponse) -> [UInt8]? {
        do {
            return try ManagementCodec.line(response)
        } catch {
            return try? ManagementCodec.line(
                ManagementResponse(
                    id: response.id, isFinal: response.isFinal,
                    result: .failure(ManagementFailure(.failed, "the answer cannot be written as JSON: \(error)"))))
        }
    }
}
