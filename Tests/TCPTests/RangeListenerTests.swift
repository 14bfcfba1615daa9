import Machine
import Records
import Testing
import Wire

@testable import TCP

/// Listeners for ranges of addresses.
@Suite struct RangeListenerTests {
    private func listener(_ remote: String, _ length: UInt8?, key: String = "") -> Listener {
        var options = TransportOptions()
        options.md5Key = Array(key.utf8)
        return Listener(
            local: Harness.local, localPort: 179, remote: IPAddress(remote)!, remoteLength: length, options: options)
    }
    private func key(_ stack: TCPStack, _ remote: String) -> String? {
        stack.listener(local: Harness.local, port: 179, remote: IPAddress(remote)!).map {
            String(decoding: stack.listeners[Int($0)].options.md5Key, as: UTF8.self)
        }
    }

    @Test func `who is named comes before every range, and the longest range before the others`() {
        var harness = Harness(listens: false)
        harness.give(
            .listeners([
                listener("10.0.0.0", 8, key: "wide"), listener("10.0.0.128", 25, key: "narrow"),
                listener("10.0.0.0", 24, key: "middle"), listener("10.0.0.200", nil, key: "one"),
            ]))
        #expect(key(harness.stack, "10.0.0.200") == "one")
        #expect(key(harness.stack, "10.0.0.201") == "narrow")
        #expect(key(harness.stack, "10.0.0.2") == "middle")
        #expect(key(harness.stack, "10.9.0.2") == "wide")
        #expect(key(harness.stack, "11.0.0.2") == nil)
        #expect(harness.stack.listener(local: Harness.local, port: 180, remote: IPAddress("10.0.0.2")!) == nil)
        #expect(harness.stack.listener(local: Harness.remote, port: 179, remote: IPAddress("10.0.0.2")!) == nil)
    }

    private func segment(_ flags: SegmentFlags, _ sequence: UInt32, _ acknowledgment: UInt32) -> [UInt8] {
        var segment = OutgoingSegment(localPort: 4000, remotePort: 179, sequence: sequence, flags: flags)
        segment.acknowledgment = acknowledgment
        segment.window = 1000
        return segment.write(
            headroom: 0, local: Harness.remote, remote: Harness.local, stream: TransmitStream(), offset: 0, count: 0,
            signature: nil)
    }
    private func isAccepted(_ harness: Harness) -> Bool {
        harness.records.contains { if case .tcpAccepted = $0 { true } else { false } }
    }

    @Test func `a SYN from a range is answered, and with a key of the range only if it is signed`() throws {
        var open = Harness(listens: false)
        open.give(.listeners([listener("10.0.0.0", 24)]))
        open.receive(segment(.syn, 100, 0))
        let answer = try #require(open.sent.first?.header)
        open.receive(segment(.ack, 101, answer.sequence &+ 1))
        #expect(isAccepted(open))
        var closed = Harness(listens: false)
        closed.give(.listeners([listener("10.0.0.0", 24, key: "secret")]))
        closed.receive(segment(.syn, 100, 0))
        #expect(closed.sent.isEmpty && closed.stack.counters.droppedSignature == 1)
    }

    @Test func `another list keeps the handshake of a range that is still in it`() throws {
        var harness = Harness(listens: false)
        harness.give(.listeners([listener("10.0.0.0", 24)]))
        harness.receive(segment(.syn, 100, 0))
        let answer = try #require(harness.sent.first?.header)
        harness.give(.listeners([listener("10.0.0.9", nil), listener("10.0.0.0", 24)]))
        harness.receive(segment(.ack, 101, answer.sequence &+ 1))
        #expect(isAccepted(harness))
    }
}
