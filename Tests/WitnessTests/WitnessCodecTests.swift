import Machine
import Records
import Redundancy
import Testing
import Wire
import Witness

@Suite struct WitnessCodecTests {
    static let requests: [WitnessRequest] = [
        .hello(session: 7, lease: .seconds(1), isFirst: true), .hello(session: .max, lease: .seconds(60), isFirst: false),
        .ask(number: 1, .acquire(atLeast: Epoch(5)), isTwinEligible: false),
        .ask(number: 1, .acquire(atLeast: Epoch(5), isResuming: true), isTwinEligible: false),
        .ask(number: 2, .renew(Epoch(5)), isTwinEligible: true), .ask(number: 3, .release(Epoch(5)), isTwinEligible: false),
        .ask(number: .max, .setTwinEligible(Epoch(.max), true), isTwinEligible: false), .ping(3),
    ]
    static let answers: [WitnessAnswer] = [
        .welcome(knowsNothingFor: .seconds(11)), .pong(9), .refusal("another process"),
        .answer(number: 1, .granted(Epoch(5), lease: .seconds(1), mayResume: true)),
        .answer(number: 2, .denied(holder: .b, Epoch(5), retryAfter: .milliseconds(3))),
        .answer(number: 2, .denied(holder: nil, Epoch(5), retryAfter: .zero)),
        .answer(number: 3, .renewed(Epoch(5), lease: .seconds(1))), .answer(number: 4, .released(Epoch(5))),
        .answer(number: 5, .twinEligibility(Epoch(5), true)), .answer(number: 6, .lost(Epoch(6))),
        .answer(number: 7, .unavailable("no")), .answer(number: 8, .notCurrent(Epoch(6))),
    ]

    static func request(_ body: some Sequence<UInt8>) throws -> WitnessRequest {
        let bytes = Array(body)
        return try WitnessRequest(decoding: bytes.span.bytes)
    }
    static func answer(_ body: some Sequence<UInt8>) throws -> WitnessAnswer {
        let bytes = Array(body)
        return try WitnessAnswer(decoding: bytes.span.bytes)
    }

    @Test(arguments: requests) func `A request comes back from its frame`(request: WitnessRequest) throws {
        #expect(try Self.request(request.frame().dropFirst(2)) == request)
    }

    @Test(arguments: answers) func `An answer comes back from its frame`(answer: WitnessAnswer) throws {
        #expect(try Self.answer(answer.frame().dropFirst(2)) == answer)
        #expect(answer.frame().count <= WitnessWire.frameMaximum)
    }

    @Test func `A reason of any length fits its frame`() throws {
        let answer = WitnessAnswer.refusal(String(repeating: "ö", count: 1000))
        guard case .refusal(let text) = try Self.answer(answer.frame().dropFirst(2)) else {
            return _ = Issue.record("not a refusal")
        }
        #expect(text == String(repeating: "ö", count: 100))
    }

    @Test func `Every truncation and every flipped bit is refused or is another message`() {
        func meet(_ frame: [UInt8]) {
            _ = try? Self.request(frame)
            _ = try? Self.answer(frame)
        }
        for request in Self.requests {
            let body = request.frame().dropFirst(2)
            for count in 0..<body.count { #expect(throws: DecodeError.self) { try Self.request(body.prefix(count)) } }
        }
        for answer in Self.answers {
            let body = answer.frame().dropFirst(2)
            for count in 0..<body.count { #expect(throws: DecodeError.self) { try Self.answer(body.prefix(count)) } }
        }
        for frame in Self.requests.map({ $0.frame() }) + Self.answers.map({ $0.frame() }) {
            let body = Array(frame.dropFirst(2))
            for bit in 0..<(body.count * 8) {
                var flipped = body
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                meet(flipped)
            }
        }
    }

    @Test func `A stream is cut into frames wherever it is broken, and never more than one frame is held`() throws {
        let frames = Self.requests.map { $0.frame() }
        let stream = frames.flatMap { $0 }
        var cutter = WitnessFrames()
        var found: [[UInt8]] = []
        for octet in stream { found += try cutter.take([octet]) }
        #expect(found == frames.map { Array($0.dropFirst(2)) })
        var whole = WitnessFrames()
        #expect(try whole.take(stream) == found)
        for length in [0, WitnessWire.frameMaximum + 1, 65535] {
            var other = WitnessFrames()
            #expect(throws: DecodeError.self) { try other.take([UInt8(length >> 8), UInt8(length & 255), 1]) }
        }
    }

    @Test func `A record comes back from its sector, and no flipped bit passes`() throws {
        var record = WitnessRecord()
        record.word.epoch = Epoch(77)
        record.word.holder = .b
        record.word[isCurrent: .a] = true
        record[.a] = .init(session: 5, lease: .seconds(1))
        record[.b] = .init(session: 6, lease: .seconds(2))
        record[.b].number = 9
        record[.b].done = .granted(Epoch(77), mayResume: true)
        record[.a].done = .released(Epoch(76))
        let octets = record.encoded(name: String(repeating: "x", count: WitnessRecord.nameMaximum), sequence: 12)
        #expect(octets.count == WitnessRecord.size)
        let decoded = try WitnessRecord.decode(octets)
        #expect(decoded.record == record && decoded.sequence == 12)
        for bit in 0..<(octets.count * 8) {
            var flipped = octets
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: DecodeError.self) { try WitnessRecord.decode(flipped) }
        }
    }
}
