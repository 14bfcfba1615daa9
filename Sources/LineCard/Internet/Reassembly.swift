import Machine
import Records
import Wire

/// Puts fragments together: RFC 791 §3.2 and RFC 8200 §4.5, one table for both.
///
/// Overlaps drop the whole datagram (RFC 5722 §4, for IPv4 too: only an attacker overlaps), an exact duplicate is
/// ignored. Bounds: datagrams, datagrams per source, fragments per datagram, octets in all, and 60 s.
struct Reassembly {
    static let datagramsMaximum = 64
    static let datagramsPerSourceMaximum = 8
    /// A datagram of 65,535 octets in fragments of 576.
    static let fragmentsMaximum = 128
    static let octetsMaximum = 1 << 20
    /// RFC 8200 §4.5; RFC 1122 §3.3.2 wants 60 to 120 s.
    static let timeout = Duration.seconds(60)

    struct Key: Hashable, BitwiseCopyable {
        var interface: InterfaceID
        var source: IPAddress
        var destination: IPAddress
        var identification: UInt32
        /// RFC 791 has the protocol in the key; for IPv6 it is 0, there the first fragment decides.
        var protocolNumber: UInt8
    }
    enum Outcome: Equatable {
        case waiting
        /// The payload, and the upper layer's number as the first fragment gave it.
        case complete([UInt8], protocolNumber: UInt8)
        /// Overlap, contradiction or beyond a bound. What belongs to that datagram is ignored until its time is up.
        case refused
    }

    private struct Piece {
        var start: Int
        var bytes: [UInt8]
        var end: Int { start + bytes.count }
    }
    private struct Datagram {
        var key: Key
        var deadline: Instant
        var pieces: [Piece] = []
        /// Known when the last fragment is there.
        var total: Int?
        var octets = 0
        var protocolNumber: UInt8 = 0
        var isRefused = false
    }

    /// In order of arrival of their first fragment, hence of deadline.
    private var datagrams: [Datagram] = []
    private(set) var octets = 0

    var nextDeadline: Instant? { datagrams.first?.deadline }
    var count: Int { datagrams.count }

    /// Drops what is overdue; returns how many datagrams never came together.
    mutating func expire(at now: Instant) -> Int {
        var n = 0
        while let first = datagrams.first, first.deadline <= now {
            octets -= first.octets
            datagrams.removeFirst()
            n += 1
        }
        return n
    }

    /// `offset` in octets. `protocolNumber` is what the fragment says is inside.
    mutating func add(
        _ key: Key, offset: Int, moreFragments: Bool, protocolNumber: UInt8, _ bytes: RawSpan, at now: Instant
    ) -> Outcome {
        let i = find(key, at: now)
        let outcome = place(i, offset, moreFragments, protocolNumber, bytes)
        switch outcome {
        case .complete: remove(i)
        case .refused: refuse(i)
        case .waiting: bound()
        }
        return outcome
    }

    private mutating func find(_ key: Key, at now: Instant) -> Int {
        var fromSource = 0
        var oldestFromSource = -1
        for i in datagrams.indices {
            if datagrams[i].key == key { return i }
            if datagrams[i].key.source == key.source {
                if fromSource == 0 { oldestFromSource = i }
                fromSource += 1
            }
        }
        if fromSource >= Self.datagramsPerSourceMaximum {
            remove(oldestFromSource)
        } else if datagrams.count >= Self.datagramsMaximum {
            remove(0)
        }
        datagrams.append(Datagram(key: key, deadline: now + Self.timeout))
        return datagrams.count - 1
    }

    private mutating func place(
        _ i: Int, _ offset: Int, _ moreFragments: Bool, _ protocolNumber: UInt8, _ bytes: RawSpan
    ) -> Outcome {
        if datagrams[i].isRefused { return .refused }
        let count = bytes.byteCount
        let end = offset + count
        // RFC 8200 §4.5: all but the last are multiples of 8, and nothing ends beyond 65,535. An empty one says nothing.
        guard count > 0, end <= 65_535, !moreFragments || count & 7 == 0 else { return .refused }
        // Sorted by start: where does it belong?
        var at = datagrams[i].pieces.count
        while at > 0, datagrams[i].pieces[at - 1].start > offset { at -= 1 }
        if at > 0 {
            let before = datagrams[i].pieces[at - 1]
            if before.start == offset, before.bytes.count == count, equal(before.bytes, bytes) { return .waiting }
            guard before.end <= offset else { return .refused }
        }
        if at < datagrams[i].pieces.count {
            guard end <= datagrams[i].pieces[at].start, moreFragments else { return .refused }
        }
        if let total = datagrams[i].total {
            guard moreFragments, end <= total else { return .refused }
        } else if !moreFragments {
            datagrams[i].total = end
        }
        guard datagrams[i].pieces.count < Self.fragmentsMaximum else { return .refused }
        if offset == 0 { datagrams[i].protocolNumber = protocolNumber }
        datagrams[i].pieces.insert(Piece(start: offset, bytes: [UInt8](copying: bytes)), at: at)
        datagrams[i].octets += count
        octets += count
        guard let total = datagrams[i].total, datagrams[i].octets == total else { return .waiting }
        // No overlaps, and as many octets as there must be: nothing is missing.
        var whole: [UInt8] = []
        whole.reserveCapacity(total)
        for piece in datagrams[i].pieces { whole.append(contentsOf: piece.bytes) }
        return .complete(whole, protocolNumber: datagrams[i].protocolNumber)
    }

    private func equal(_ a: [UInt8], _ b: RawSpan) -> Bool {
        unsafe b.withUnsafeBytes { unsafe a.elementsEqual($0) }
    }

    private mutating func refuse(_ i: Int) {
        octets -= datagrams[i].octets
        datagrams[i].octets = 0
        datagrams[i].pieces = []
        datagrams[i].isRefused = true
    }

    private mutating func remove(_ i: Int) {
        octets -= datagrams[i].octets
        datagrams.remove(at: i)
    }

    private mutating func bound() {
        while octets > Self.octetsMaximum, !datagrams.isEmpty { remove(0) }
    }
}
