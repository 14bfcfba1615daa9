import Machine
import Wire

/// Encoded messages on their way to the members of a cohort: encoded once, each member with a position of its own.
///
/// A segment is a run of whole messages for the same receivers, at most 65,535 octets.
struct SegmentQueue: Sendable {
    /// Who gets a segment (split horizon inside a group).
    struct Receivers: Hashable, Sendable {
        /// A source that does not get it; `nobody` for none.
        var except: UInt16 = Self.nobody
        /// The only source that gets it; `nobody` for all.
        var only: UInt16 = Self.nobody
        static let nobody = UInt16.max
        static let all = Receivers()

        func includes(_ source: UInt16) -> Bool { source != except && (only == Self.nobody || only == source) }
    }
    struct Segment: Sendable {
        var octets: ArraySlice<UInt8>
        var receivers: Receivers
    }
    private(set) var segments: [Segment] = []
    /// Sequence number of `segments[0]`.
    private(set) var first: UInt64 = 0
    /// Octets held.
    private(set) var octetCount = 0

    var end: UInt64 { first + UInt64(segments.count) }

    mutating func append(_ octets: ArraySlice<UInt8>, _ receivers: Receivers) {
        if octets.isEmpty { return }
        segments.append(Segment(octets: octets, receivers: receivers))
        octetCount += octets.count
    }
    subscript(position: UInt64) -> Segment { segments[Int(position - first)] }

    /// Forgets what every member has taken.
    mutating func trim(before position: UInt64) {
        let count = Int(position - first)
        if count == 0 { return }
        for segment in segments[..<count] { octetCount -= segment.octets.count }
        segments.removeFirst(count)
        first = position
    }
}

extension SegmentQueue: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(first)
        writer.writeList(segments) { segment, w in
            w.write(segment.receivers.except)
            w.write(segment.receivers.only)
            w.writeBlock(Array(segment.octets))
        }
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        first = try reader.read()
        segments = try reader.readList { (r) throws(DecodeError) in
            let receivers = Receivers(except: try r.read(), only: try r.read())
            return Segment(octets: try r.readBlock(of: UInt8.self)[...], receivers: receivers)
        }
        octetCount = segments.reduce(0) { $0 + $1.octets.count }
    }
}
