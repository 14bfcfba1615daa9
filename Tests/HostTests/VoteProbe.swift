import Machine
import Records
import Redundancy
import Synchronization

@testable import Host

/// A controller as a vote's client sees one: asks, and waits for the answers.
actor VoteProbe {
    private let client: any VoteClient
    private var answers: AsyncStream<ArbiterAnswer>.Iterator
    private let heard: EventBox

    /// - Parameter make: the client, given where its answers go.
    init(_ make: (VoteSink) throws -> any VoteClient) throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ArbiterAnswer.self)
        let heard = EventBox()
        client = try make(VoteSink(answer: { continuation.yield($0) }, note: { heard.append($0) }))
        answers = stream.makeAsyncIterator()
        self.heard = heard
    }

    var events: [Event] { heard.all }

    func ask(_ request: ArbiterRequest) async -> ArbiterAnswer {
        client.ask(request)
        return await next()
    }

    /// Asks without waiting.
    func send(_ request: ArbiterRequest) { client.ask(request) }

    func next() async -> ArbiterAnswer {
        var iterator = answers
        let answer = await iterator.next(isolation: self)
        answers = iterator
        return answer ?? .unavailable("the stream ended")
    }

    /// Asks the same until the answer is as wanted, and gives the others as well.
    func ask(
        _ request: ArbiterRequest, until isWanted: @Sendable (ArbiterAnswer) -> Bool
    ) async throws -> (last: ArbiterAnswer, before: [ArbiterAnswer]) {
        var before: [ArbiterAnswer] = []
        while true {
            let answer = await ask(request)
            if isWanted(answer) { return (answer, before) }
            before.append(answer)
            // As often as the client can know anything new: a question of no consequence waits for the link and a round trip.
            _ = await ask(.renew(.zero))
        }
    }

    func stop() { client.stop() }
}

/// Events from another thread.
final class EventBox: Sendable {
    private let events = Mutex<[Event]>([])
    func append(_ event: Event) { events.withLock { $0.append(event) } }
    var all: [Event] { events.withLock { $0 } }
}

extension ArbiterAnswer {
    var isGranted: Bool { if case .granted = self { true } else { false } }
    var isRenewed: Bool { if case .renewed = self { true } else { false } }
    var isDenied: Bool { if case .denied = self { true } else { false } }
    var isLost: Bool { if case .lost = self { true } else { false } }
    var isUnavailable: Bool {
        switch self {
        case .unavailable, .unasked: true
        default: false
        }
    }
    /// The epoch of a grant.
    var epoch: Epoch? { if case .granted(let epoch, _, _) = self { epoch } else { nil } }
    var mayResume: Bool? { if case .granted(_, _, let mayResume) = self { mayResume } else { nil } }
    var leaseUntil: Instant? {
        switch self {
        case .granted(_, let until, _), .renewed(_, let until): until
        default: nil
        }
    }
}
