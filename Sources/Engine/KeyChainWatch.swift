import Machine
import Records

/// Tells the operator which key of each chain signs, and when there will be none.
///
/// Protocols ask their chain at each packet and need no timer for it; what a change of keys is to an operator is the same for
/// all of them, so it is said here, once for each chain. Everything follows from the chains and the time of the last record:
/// a snapshot needs nothing of it.
struct KeyChainWatch: Sendable {
    /// How long before the end of the last send lifetime a warning is given.
    static let notice = Duration.seconds(7 * 86_400)

    private var chains: [KeyChain] = []
    /// Up to when everything was told.
    private var told = Instant.zero
    /// The next point in time at which there is something to tell.
    private(set) var nextDeadline: Instant?

    init() {}

    /// Goes on where everything up to `now` was told.
    init(_ chains: [KeyChain], at now: Instant) {
        self.chains = chains
        told = now
        schedule()
    }

    /// A configuration is in force: what is different from the one before.
    mutating func configure(_ new: [KeyChain], at now: Instant) -> [Event] {
        var events: [Event] = []
        for chain in new {
            let old = chains.first { $0.name == chain.name }
            guard let signing = chain.signing(at: now) else { continue }
            if signing != old?.signing(at: now) {
                // Lifetimes are compared with the router's time, which may not be that on the operator's wall.
                events.append(event(chain, signing, "signs; it is \(now.rfc3339) here", .info))
            }
            if chain.lastEnd != old?.lastEnd, let end = chain.lastEnd, end > now, end - Self.notice <= now {
                events.append(warning(chain, end))
            }
        }
        chains = new
        told = now
        schedule()
        return events
    }

    mutating func advance(to now: Instant) -> [Event] {
        guard let due = nextDeadline, due <= now else { return [] }
        var events: [Event] = []
        for chain in chains {
            let before = chain.signing(at: told)
            if let signing = chain.signing(at: now), signing != before {
                events.append(event(chain, signing, "signs from now on", .notice))
            }
            if let end = chain.lastEnd, end > now, end - Self.notice > told, end - Self.notice <= now {
                events.append(warning(chain, end))
            }
        }
        told = now
        schedule()
        return events
    }

    private func event(
        _ chain: KeyChain, _ signing: KeyChain.Signing, _ news: String, _ severity: Event.Severity
    ) -> Event {
        let key = "key \(signing.key.id) of key chain \(chain.name)"
        guard signing.isOutsideLifetime else { return Event(severity, "keys", "\(key) \(news)") }
        // RFC 5709 §3.2: "the router should send a 'last Authentication Key expiration' notification".
        return Event(
            .alarm, "keys",
            "no key of key chain \(chain.name) is in its send lifetime; key \(signing.key.id) signs as though it "
                + "had no end (RFC 2328 §D.3): give it a later end, or add a key")
    }

    private func warning(_ chain: KeyChain, _ end: Instant) -> Event {
        Event(.warning, "keys", "the last send lifetime of key chain \(chain.name) ends at \(end.rfc3339), and no key follows")
    }

    private mutating func schedule() {
        nextDeadline = nil
        for chain in chains {
            for next in [chain.nextChange(after: told), chain.lastEnd.map { $0 - Self.notice }] {
                if let next, next > told, next < nextDeadline ?? .distantFuture { nextDeadline = next }
            }
        }
    }
}
