import Routing
import Wire

/// Packs prefixes into UPDATE messages, as many as fit, and messages into segments.
struct MessageBuilder {
    private(set) var octets: [UInt8] = []
    private(set) var segments: [(start: Int, end: Int, receivers: SegmentQueue.Receivers)] = []
    /// RFC 4271 §4.1, or RFC 8654's for neighbours that take it.
    let maximum: Int
    /// A segment is closed once it has this many octets; it never exceeds 65,535.
    private var segmentSize: Int { maximum > 4096 ? 1 : 49_152 }

    /// Octets around the NLRI of one kind of message.
    struct Frame {
        /// From behind the message type to the first prefix.
        var lead: [UInt8]
        /// Behind the last prefix.
        var trail: [UInt8] = []
        /// Where a 16-bit length stands in `lead`, and what it counts besides the NLRI; -1 for none.
        var attributesLengthAt = -1
        var attributesLength = 0
        var blockLengthAt = -1
        var blockLength = 0
        /// The next hop is the router itself.
        var isOurs = false
    }

    init(maximum: Int) { self.maximum = maximum }

    /// Makes `frame` that of an announcement: RFC 4271 §4.3, RFC 4760 §3. `encode` appends the attributes. The frame's
    /// arrays keep their memory from one set of attributes to the next.
    /// - Returns: whether such an announcement can be made.
    static func setAnnouncement(
        _ frame: inout Frame, _ code: FamilyCode, hasOwnFields: Bool, encode: (inout [UInt8]) -> ExportEncoder.Result
    ) -> Bool {
        frame.lead.removeAll(keepingCapacity: true)
        frame.trail.removeAll(keepingCapacity: true)
        frame.attributesLengthAt = -1
        frame.blockLengthAt = -1
        let encoded: ExportEncoder.Result
        if hasOwnFields {
            // Withdrawn and attributes lengths; the second is known once the attributes are there.
            for _ in 0..<4 { frame.lead.append(0) }
            encoded = encode(&frame.lead)
            frame.isOurs = encoded.isOurs
            if encoded.nextHop == nil {
                let count = frame.lead.count - 4
                frame.lead[2] = UInt8(truncatingIfNeeded: count >> 8)
                frame.lead[3] = UInt8(truncatingIfNeeded: count)
                return encoded.isSendable
            }
            // RFC 8950 §3: a next hop for which NEXT_HOP has no room takes the prefixes into MP_REACH_NLRI.
            frame.trail.append(contentsOf: frame.lead[4...])
            frame.lead.removeAll(keepingCapacity: true)
        } else {
            encoded = encode(&frame.trail)
            frame.isOurs = encoded.isOurs
        }
        guard encoded.isSendable, let nextHop = encoded.nextHop else { return false }
        // RFC 7606 §5.1: MP_REACH_NLRI comes first.
        var out = ByteWriter(capacity: 48)
        out.u16(0)
        out.u16(0)
        out.u8(0x90)
        out.u8(AttributeCode.mpReach)
        out.u16(0)
        out.u16(code.afi)
        out.u8(code.safi)
        switch nextHop {
        case .v4(let address):
            out.u8(4)
            out.ipv4(address)
        case .v6(let address):
            out.u8(encoded.linkLocal == nil ? 16 : 32)
            out.ipv6(address)
            if let linkLocal = encoded.linkLocal { out.ipv6(linkLocal) }
        }
        out.u8(0)
        frame.lead.append(contentsOf: out.bytes)
        frame.attributesLengthAt = 2
        frame.attributesLength = out.count - 4 + frame.trail.count
        frame.blockLengthAt = 6
        frame.blockLength = out.count - 8
        return true
    }
    static func withdrawal<Family: RoutedFamily>(_: Family.Type) -> Frame {
        if Family.hasOwnFields { return Frame(lead: [0, 0], trail: [0, 0], blockLengthAt: 0) }
        return Frame(
            lead: [0, 0, 0, 0, 0x90, AttributeCode.mpUnreach, 0, 0] + Family.code.octets, attributesLengthAt: 2,
            attributesLength: 7, blockLengthAt: 6, blockLength: 3)
    }

    /// Whether even one prefix fits beside the attributes.
    func fits(_ frame: borrowing Frame, prefixSize: Int) -> Bool {
        19 + frame.lead.count + frame.trail.count + prefixSize <= maximum
    }

    /// Prefixes by their numbers, in a family without labels, to neighbours that take no path identifiers.
    mutating func append<Family: RoutedFamily>(
        _: Family.Type, _ numbers: ArraySlice<UInt32>, _ frame: borrowing Frame, _ receivers: SegmentQueue.Receivers,
        _ prefixes: borrowing PrefixTable<Family.Key>
    ) {
        unsafe prefixes.keys.withUnsafeBufferPointer { keys in
            pack(
                numbers.startIndex..<numbers.endIndex, frame, receivers, sizeMaximum: Family.sizeMaximum,
                size: { unsafe Family.size(keys[Int(numbers[$0])]) },
                write: { unsafe Family.write(keys[Int(numbers[$0])], label: 0, to: $1) })
        }
    }

    /// Paths with their identifiers and labels.
    mutating func append<Family: RoutedFamily>(
        _: Family.Type, _ items: ArraySlice<ExportItem>, _ frame: borrowing Frame, _ receivers: SegmentQueue.Receivers,
        _ prefixes: borrowing PrefixTable<Family.Key>, hasPathIDs: Bool
    ) {
        let before = hasPathIDs ? 4 : 0
        let isOurs = frame.isOurs
        unsafe prefixes.keys.withUnsafeBufferPointer { keys in
            pack(
                items.startIndex..<items.endIndex, frame, receivers, sizeMaximum: Family.sizeMaximum + before,
                size: { unsafe Family.size(keys[Int(items[$0].number)]) &+ before },
                write: { i, target in
                    let item = items[i]
                    if hasPathIDs { unsafe UnsafeMutableRawPointer(target).storeBytes(of: item.id.bigEndian, as: UInt32.self) }
                    let label =
                        item.handle == 0
                        ? LabelField.withdrawn : LabelField.octets(isOurs ? LabelField.implicitNull : item.label)
                    return unsafe Family.write(keys[Int(item.number)], label: label, to: target + before) &+ before
                })
        }
    }

    /// As many messages as it takes. `size` says what `write` will have written, which touches no more than `sizeMaximum`.
    @inline(__always)
    private mutating func pack(
        _ range: Range<Int>, _ frame: borrowing Frame, _ receivers: SegmentQueue.Receivers, sizeMaximum: Int,
        size: (Int) -> Int, write: (Int, UnsafeMutablePointer<UInt8>) -> Int
    ) {
        var i = range.lowerBound
        let leadCount = frame.lead.count, trailCount = frame.trail.count
        let room = maximum - 19 - leadCount - trailCount
        while i < range.upperBound {
            let base = octets.count
            let reserve = 19 + leadCount + min(room, (range.upperBound - i) * sizeMaximum) + trailCount + 32
            octets.append(contentsOf: repeatElement(0xff, count: reserve))
            var length = 0
            unsafe octets.withUnsafeMutableBufferPointer { buffer in
                guard let start = buffer.baseAddress.map({ unsafe $0 + base }) else { return }
                // The marker is there already (RFC 4271 §4.1).
                unsafe start[18] = 2
                let body = unsafe start + 19
                unsafe frame.lead.withUnsafeBufferPointer { unsafe body.update(from: $0.baseAddress!, count: leadCount) }
                let first = unsafe body + leadCount
                var at = 0
                while i < range.upperBound {
                    if at &+ size(i) > room { break }
                    at &+= unsafe write(i, first + at)
                    i &+= 1
                }
                if trailCount > 0 {
                    unsafe frame.trail.withUnsafeBufferPointer {
                        unsafe (first + at).update(from: $0.baseAddress!, count: trailCount)
                    }
                }
                length = 19 + leadCount + at + trailCount
                unsafe Self.put16(length, start + 16)
                if frame.attributesLengthAt >= 0 {
                    unsafe Self.put16(frame.attributesLength + at, body + frame.attributesLengthAt)
                }
                if frame.blockLengthAt >= 0 { unsafe Self.put16(frame.blockLength + at, body + frame.blockLengthAt) }
            }
            octets.removeLast(reserve - length)
            note(base, receivers)
        }
    }

    /// RFC 4724 §2: the marker after the initial exchange.
    mutating func appendEndOfRIB<Family: RoutedFamily>(_: Family.Type, _ receivers: SegmentQueue.Receivers) {
        let base = octets.count
        octets.append(contentsOf: repeatElement(0xff, count: 16))
        if Family.hasOwnFields {
            octets.append(contentsOf: [0, 23, 2, 0, 0, 0, 0])
        } else {
            octets.append(contentsOf: [0, 29, 2, 0, 0, 0, 6, 0x80, AttributeCode.mpUnreach, 3] + Family.code.octets)
        }
        note(base, receivers)
    }

    /// RFC 7313 §3.2: a mark of a refresh.
    mutating func append(_ refresh: RouteRefreshMessage, _ receivers: SegmentQueue.Receivers) {
        let base = octets.count
        octets.append(contentsOf: refresh.encoded)
        note(base, receivers)
    }

    private static func put16(_ value: Int, _ target: UnsafeMutablePointer<UInt8>) {
        unsafe target[0] = UInt8(truncatingIfNeeded: value >> 8)
        unsafe target[1] = UInt8(truncatingIfNeeded: value)
    }

    /// Accounts for a message that begins at `base` and ends here.
    private mutating func note(_ base: Int, _ receivers: SegmentQueue.Receivers) {
        if let last = segments.last, last.receivers == receivers, last.end == base, base - last.start < segmentSize {
            segments[segments.count - 1].end = octets.count
        } else {
            segments.append((base, octets.count, receivers))
        }
    }

    /// Hands the segments over; they share one buffer.
    consuming func finish(into queue: inout SegmentQueue) {
        let all = octets
        for segment in segments { queue.append(all[segment.start..<segment.end], segment.receivers) }
    }
}

extension FamilyCode {
    /// As in multiprotocol attributes.
    var octets: [UInt8] { [UInt8(truncatingIfNeeded: afi >> 8), UInt8(truncatingIfNeeded: afi), safi] }
}
