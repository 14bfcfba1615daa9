import NIOCore
import NIOTLS
import Witness

/// One connection of the witness, behind TLS. It belongs to the event loop.
final class WitnessConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let core: WitnessCore
    private var context: ChannelHandlerContext?
    private var frames = WitnessFrames()
    private var alarm: Scheduled<Void>?
    private var isReady = false
    /// Whose key was shown; trusted once the handshake is complete.
    var client: WitnessState.Client?
    /// As in its hello.
    var session: UInt64?

    init(_ core: WitnessCore) { self.core = core }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        core.opened(self)
        arm(WitnessServer.handshakeTime)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        alarm?.cancel()
        self.context = nil
    }

    private func arm(_ time: TimeAmount) {
        alarm?.cancel()
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        alarm = context.eventLoop.scheduleTask(in: time) { bound.value.close() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted = event as? TLSUserEvent {
            guard let client else { return close() }
            isReady = true
            core.proven(self, client)
            arm(WitnessServer.silenceTime)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isReady else { return close() }
        arm(WitnessServer.silenceTime)
        do {
            for frame in try frames.take(unwrapInboundIn(data).readableBytesView) {
                core.take(try WitnessRequest(decoding: frame.span.bytes), from: self)
            }
        } catch {
            close()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close() }

    func channelInactive(context: ChannelHandlerContext) {
        core.closed(self)
        context.fireChannelInactive()
    }

    // MARK: the core

    func send(_ frame: [UInt8]) {
        guard let context else { return }
        // Somebody asks and does not read.
        guard context.channel.isWritable else { return close() }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: frame)), promise: nil)
    }

    func close() { context?.close(promise: nil) }

    func closeAfterSending() {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(100)) { bound.value.close() }
    }
}
