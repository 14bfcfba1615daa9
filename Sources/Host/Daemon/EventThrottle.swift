import Machine
import Records

/// Lets events pass that are told once or a few hundred times, and counts what comes in floods: a peer, or anybody who can
/// send us a packet, must not write logs full nor push everything else out of the kept events.
///
/// Events are of one kind when component and severity are the same and their words, without numbers and addresses. Each kind
/// has a bucket: `burst` at once, then `rate` a second. What a kind left out is told with the next of it that passes, or by `overdue`.
struct EventThrottle: Sendable {
    static let burst = 500
    static let rate = 2
    /// Kinds that are told apart. One whose bucket is full again can give way to another, and nothing is forgotten with it;
    /// while there is none, all others are of one kind.
    static let kindsMaximum = 256
    /// What was left out is told after so long at the latest.
    static let patience = Duration.seconds(10)

    private struct Kind: Sendable {
        var key: UInt64
        /// When its bucket is full again: each event puts it off by what it costs, 1/rate seconds.
        var fullAt: Instant
        var leftOut = 0
        var leftOutSince: Instant = .zero
        var sample: Event
    }
    private var kinds: [Kind] = []
    private static let cost = Duration.nanoseconds(1_000_000_000 / rate)

    /// Events to pass on in place of this one: itself, with a word before it on those that were left out; or none.
    mutating func admit(_ event: Event, at now: Instant) -> [Event] {
        let i = place(of: Self.key(event), event, at: now)
        let fullAt = max(kinds[i].fullAt, now) + Self.cost
        guard fullAt <= now + Self.cost * Self.burst else {
            if kinds[i].leftOut == 0 { kinds[i].leftOutSince = now }
            kinds[i].leftOut += 1
            kinds[i].sample = event
            return []
        }
        kinds[i].fullAt = fullAt
        defer { kinds[i].leftOut = 0 }
        return kinds[i].leftOut > 0 ? [Self.remark(kinds[i]), event] : [event]
    }

    private mutating func place(of key: UInt64, _ event: Event, at now: Instant) -> Int {
        if let known = kinds.firstIndex(where: { $0.key == key }) { return known }
        let new = Kind(key: key, fullAt: now, sample: event)
        if kinds.count < Self.kindsMaximum {
            kinds.append(new)
            return kinds.count - 1
        }
        if let full = kinds.firstIndex(where: { $0.fullAt <= now && $0.leftOut == 0 && $0.key != Self.others }) {
            kinds[full] = new
            return full
        }
        if let others = kinds.firstIndex(where: { $0.key == Self.others }) { return others }
        kinds.append(Kind(key: Self.others, fullAt: now, sample: event))
        return kinds.count - 1
    }
    private static let others: UInt64 = 0

    /// What was left out for long enough to be told without waiting for another of its kind.
    mutating func overdue(at now: Instant) -> [Event] {
        var events: [Event] = []
        for i in kinds.indices where kinds[i].leftOut > 0 && now >= kinds[i].leftOutSince + Self.patience {
            events.append(Self.remark(kinds[i]))
            kinds[i].leftOut = 0
        }
        return events
    }

    private static func remark(_ kind: Kind) -> Event {
        Event(
            kind.sample.severity, kind.sample.component,
            "\(kind.leftOut) more like this were left out; the last: \(kind.sample.message)")
    }

    private static func key(_ event: Event) -> UInt64 {
        var key = seededHash(UInt64(event.severity.rawValue), UInt64(event.component.utf8.count), seed: 0)
        for octet in event.component.utf8 { key = mix64(key &+ UInt64(octet)) }
        // A number, an address of any kind, octets in hexadecimal: a word with a digit or a colon in it is one thing, whatever
        // its letters.
        for word in event.message.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false) {
            let isNumber = word.contains { $0 >= 0x30 && $0 <= 0x39 } || word.dropLast().contains(UInt8(ascii: ":"))
            if isNumber {
                key = mix64(key &+ 0x30)
            } else {
                for octet in word { key = mix64(key &+ UInt64(octet)) }
            }
            key = mix64(key &+ 0x20)
        }
        return key
    }
}
