import Machine
import Records
import Testing
import Wire

@Suite struct TransmitStreamTests {
    @Test(arguments: 1...20) func `any use agrees with one flat array, across a snapshot`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        var stream = TransmitStream()
        var all: [UInt8] = []
        var start = 0
        for step in 0..<2000 {
            switch random.number(in: 0...4) {
            case 0, 1:
                let backing = (0..<random.number(in: 0...60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                let low = random.number(in: 0...backing.count)
                stream.append(backing[low...])
                all += backing[low...]
            case 2:
                start = min(all.count, start + random.number(in: 0...80))
                stream.acknowledge(upTo: UInt64(start))
            default:
                guard start < all.count else { continue }
                let from = random.number(in: start...(all.count - 1)), count = random.number(in: 0...100)
                var out = ByteWriter()
                let copied = stream.copy(from: UInt64(from), count: count, into: &out)
                #expect(out.bytes == Array(all[from..<min(all.count, from + count)]))
                #expect(copied == out.bytes.count)
            }
            #expect(stream.start == UInt64(start) && stream.end == UInt64(all.count))
            if step == 1000 {
                var writer = SnapshotWriter()
                stream.write(to: &writer)
                var reader = SnapshotReader(writer.bytes)
                stream = try TransmitStream(from: &reader)
                try reader.expectEnd()
            }
        }
    }

    @Test func `an acknowledgement beyond the end or before the start changes nothing else`() {
        var stream = TransmitStream()
        stream.append([1, 2, 3][...])
        stream.acknowledge(upTo: 99)
        #expect(stream.start == 3 && stream.end == 3)
        stream.acknowledge(upTo: 0)
        #expect(stream.start == 3)
        var out = ByteWriter()
        #expect(stream.copy(from: 0, count: 10, into: &out) == 0)
    }

    @Test func `identities and requests survive a snapshot; a shift above 14 is refused`() throws {
        let tuple = ConnectionTuple(
            interface: InterfaceID(3), local: IPAddress("192.0.2.1")!, localPort: 179, remote: IPAddress("2001:db8::2")!,
            remotePort: 50000)
        var options = TransportOptions()
        options.md5Key = Array("secret".utf8)
        options.minimumHopLimit = 254
        let identity = ConnectionIdentity(
            tuple: tuple, initialSendSequence: 1, initialReceiveSequence: 2, peerMaximumSegmentSize: 1460,
            peerWindowShift: 7, windowShift: 8, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 9,
            options: options)
        var writer = SnapshotWriter()
        identity.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        #expect(try ConnectionIdentity(from: &reader) == identity)
        for length in 0..<writer.bytes.count {
            var short = SnapshotReader(Array(writer.bytes[..<length]))
            #expect(throws: DecodeError.self) { _ = try ConnectionIdentity(from: &short) }
        }
        var wide = identity
        wide.windowShift = 15
        var other = SnapshotWriter()
        wide.write(to: &other)
        var refused = SnapshotReader(other.bytes)
        #expect(throws: DecodeError.self) { _ = try ConnectionIdentity(from: &refused) }
    }
}
