import Machine
import Records
import Testing
import Wire

@testable import Engine

/// What the engine remembers of connections that ended in order.
@Suite struct TimeWaitTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    private func identity(_ port: UInt16) -> ConnectionIdentity {
        ConnectionIdentity(
            tuple: ConnectionTuple(
                interface: InterfaceID(0), local: IPAddress("10.0.0.1")!, localPort: 179, remote: IPAddress("10.0.0.2")!,
                remotePort: port),
            initialSendSequence: 1, initialReceiveSequence: 2, peerMaximumSegmentSize: 1460, peerWindowShift: 3,
            windowShift: 5, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 9, options: TransportOptions())
    }

    private func open(_ n: UInt32, in table: inout TransportTable) {
        let id = ConnectionID(2 * n)
        table.establish(id, identity(UInt16(1000 + n)), ConnectionOwner(StreamProtocolID(3), StreamEndpointID(UInt16(n))))
        table.received(id, [1, 2, 3], peerTimestamp: 77)
        _ = table.send(id, [1, 2, 3, 4, 5][...])
    }

    private func finish(_ n: UInt32, in table: inout TransportTable) {
        _ = table.finish(ConnectionID(2 * n))
        table.peerFinished(ConnectionID(2 * n))
    }

    private func timeWaits(_ table: TransportTable, at now: Instant) -> [LineCardImage.TimeWait] {
        var image = LineCardImage()
        table.fill(&image, at: now)
        return image.timeWaits
    }

    @Test func `a connection that ended in order is in the image for 2 MSL, and in the snapshot`() throws {
        var table = TransportTable(sequenceSecret: 1)
        for n: UInt32 in 1...3 { open(n, in: &table) }
        finish(1, in: &table)
        finish(2, in: &table)
        table.close(ConnectionID(2), .finished, at: start)
        // A RST leaves nothing behind, nor does what one side alone finished.
        table.close(ConnectionID(4), .resetByPeer, at: start)
        table.close(ConnectionID(6), .finished, at: start)
        var writer = SnapshotWriter()
        table.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let twin = try TransportTable(from: &reader)
        for one in [table, twin] {
            let list = timeWaits(one, at: start + .seconds(59))
            #expect(list.map(\.connection) == [ConnectionID(2)])
            #expect(list[0].sentOffset == 5 && list[0].receivedOffset == 3 && list[0].peerTimestamp == 77)
            #expect(list[0].identity == identity(1001) && list[0].since == start)
            #expect(timeWaits(one, at: start + .seconds(60)).isEmpty)
        }
        #expect(table.digest.value == twin.digest.value)
    }

    @Test func `it gives way to a connection between the same ends, to age and to number`() {
        var table = TransportTable(sequenceSecret: 1)
        open(1, in: &table)
        finish(1, in: &table)
        table.close(ConnectionID(2), .finished, at: start)
        open(1, in: &table)
        #expect(timeWaits(table, at: start).isEmpty)
        let most = UInt32(TransportTable.timeWaitsMaximum)
        for n in 2...(most + 3) {
            open(n, in: &table)
            finish(n, in: &table)
            table.close(ConnectionID(2 * n), .finished, at: start)
        }
        #expect(table.timeWaits.count == Int(most))
        #expect(table.timeWaits.first?.connection == ConnectionID(8))
        open(most + 4, in: &table)
        finish(most + 4, in: &table)
        table.close(ConnectionID(2 * (most + 4)), .finished, at: start + .seconds(60))
        #expect(table.timeWaits.count == 1)
    }
}
