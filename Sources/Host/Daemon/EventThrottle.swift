import Machine
import Records

/// Lets events pass that are told once or a few hundred times, and counts what comes in floods: a peer, or anybody who can
/// send us a packet, must not write logs full nor push everything else out of the kept events.
///
/// Events are of one kind when component and severity are the same and their words, without digits. Each kind has a bucket:
/// `burst` at once, then `rate` a second. What a kind left out is told with the next of it that passes, or by `overdue`.
struct EventThrottle: Sendable {
    static let burst = 500
    static let rate = 2
    /// Kinds that are told apart; beyond, the one that was quiet for longest gives way.
    static let kindsMaximum = 256
    /// What was left out is told after so long at the latest.
    static let patience = Duration.seconds(10)

    private struct Kind: Sendable {
        var key: UInt64
        /// In nanoseconds of `rate`: what one event costs comes back in 1/rate seconds.
        var fullAt: Instant
        var usedAt: Instant
        var leftOut = 0
        var leftOutSince: Instant = .zero
        var sample: Event
    }
    private var kinds: [Kind] = []
    private static let cost = Duration.nanoseconds(1_000_000_000 / rate)

    /// Events to pass on in place of this one: itself, with a word before it on those that were left out; or none.
    mutating func admit(_ event: Event, at now: Instant) -> [Event] {
        let key = Self.key(event)
        let i: Int
        if let known = kinds.firstIndex(where: { $0.key == key }) {
            i = known
        } else {
            if kinds.count == Self.kindsMaximum, let oldest = kinds.indices.min(by: { kinds[$0].usedAt < kinds[$1].usedAt }) {
                kinds.remove(at: oldest)
            }
            i = kinds.count
            kinds.append(Kind(key: key, fullAt: now, usedAt: now, sample: event))
        }
        kinds[i].usedAt = now
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

    /// What was left out for long enough to be told without waiting for another of its kind.
    mutating func overdue(at now: Instant) -> [Event] {
        var events: [Event] = []
        for i in kinds.indices where kinds[i].leftOut > 0 && now >= kinds[i].leftOutSince + Self.patience {
            events.append(Self.remark(kinds[i]))
            kinds[i].leftOut = 0
        }
        return events
    }
    var hasLeftOut: Bool { kinds.contains { $0.leftOut > 0 } }

    private static func remark(_ kind: Kind) -> Event {
        Event(kind.sample.severity, kind.sample.component, "\(kind.leftOut) more like this were left out; the last: \(kind.sample.message)")
    }

    private static func key(_ event: Event) -> UInt64 {
        var key = seededHash(UInt64(event.severity.rawValue), UInt64(event.component.utf8.count), seed: 0)
        for octet in event.component.utf8 { key = mix64(key &+ UInt64(octet)) }
        var isNumber = false
        for octet in event.message.utf8 {
            // Numbers, addresses of either family and letters of hexadecimal count as one thing.
            let isDigit = octet >= 0x30 && octet <= 0x39 || octet == 0x2e || octet == 0x3a
            if isDigit, isNumber { continue }
            isNumber = isDigit
            key = mix64(key &+ UInt64(isDigit ? 0x30 : octet))
        }
        return key
    }
}
