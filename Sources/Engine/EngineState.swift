import Machine
import Records
import Wire

/// Everything a peer would notice if it were lost, as one value.
struct EngineState: Sendable {
    var applied: LogIndex = .zero
    var now: Instant = .zero

    init() {}

    func encoded() -> [UInt8] {
        var writer = SnapshotWriter()
        writer.write(applied.value)
        writer.write(now)
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = SnapshotReader(bytes)
        applied = LogIndex(try reader.read())
        now = try reader.readInstant()
        try reader.expectEnd()
    }
}
