import CHost
import Machine
import NIOCore
import NIOPosix
import Records
import Redundancy

/// What asks a vote. It belongs to one event loop, and every call comes from there.
protocol VoteLink: AnyObject, SendableMetatype {
    func begin()
    func ask(_ request: ArbiterRequest)
    func stop()
}

/// The thread of a vote's client, and the event loop on it that owns its link: the edge hands requests over and goes on.
final class VoteThread<Link: VoteLink>: VoteClient {
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let link: NIOLoopBound<Link>

    /// - Parameter make: makes the link on its loop.
    /// - Throws: what `make` throws.
    init(_ make: @escaping @Sendable (any EventLoop) throws -> Link) throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        self.loop = loop
        do {
            link = try loop.submit {
                chost_name_thread("vote")
                // It sleeps until there is something to say, and then the lease depends on it.
                _ = chost_realtime(9)
                let link = try make(loop)
                link.begin()
                return NIOLoopBound(link, eventLoop: loop)
            }.wait()
        } catch {
            try? group.syncShutdownGracefully()
            throw error
        }
    }

    func ask(_ request: ArbiterRequest) {
        loop.execute { [link] in link.value.ask(request) }
    }

    func stop() {
        try? loop.submit { [link] in link.value.stop() }.wait()
        try? group.syncShutdownGracefully()
    }
}

/// One wake-up of an event loop, moved as deadlines move.
struct LoopAlarm {
    private var armed: (at: Instant, task: Scheduled<Void>)?

    /// - Parameters:
    ///   - next: when to wake; `.distantFuture` for not at all. An earlier wake-up that is still to come is kept.
    ///   - body: finds out by itself what is due.
    mutating func set(_ next: Instant, at now: Instant, on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        if let armed, armed.at <= next, armed.at > now { return }
        cancel()
        guard next != .distantFuture else { return }
        armed = (next, loop.scheduleTask(in: .nanoseconds(max(next - now, .zero).inNanoseconds), body))
    }

    mutating func cancel() {
        armed?.task.cancel()
        armed = nil
    }
}
