import Machine
import Records
import Routing
import Wire

/// A new configuration, and commands.
extension RTRInstance {
    /// Touches only what differs: a cache that is gone, or is to be spoken to otherwise, loses its session, and one that is
    /// gone its data.
    mutating func configure(_ new: RTRConfiguration?, at now: Instant, into effects: inout [Effect]) {
        guard new != configuration else { return }
        configuration = new
        let wanted = Array((new?.caches ?? []).prefix(RTRConfiguration.cachesMaximum))
        for number in caches.indices {
            guard let cache = caches[number] else { continue }
            guard let own = wanted.first(where: { $0.isSameCache(as: cache.configuration) }) else {
                drop(number, at: now, into: &effects)
                forgetData(number)
                fatal.forget { $0.address == .ip(cache.configuration.address) }
                caches[number] = nil
                continue
            }
            caches[number]!.configuration = own
            if own.localAddress != cache.configuration.localAddress || own.md5Key != cache.configuration.md5Key {
                drop(number, at: now, into: &effects)
            }
        }
        for own in wanted where !caches.contains(where: { $0?.configuration.isSameCache(as: own) ?? false }) {
            guard let free = caches.firstIndex(where: { $0 == nil }) else { break }
            caches[free] = Cache(configuration: own)
        }
        putInOrder()
        let endpoints = order.map { endpoint($0) }
        effects.append(
            .listen(endpoints.sorted { $0.remote != $1.remote ? $0.remote < $1.remote : $0.remotePort < $1.remotePort }))
        retireOthers(at: now, into: &effects)
    }

    /// The order may be another: whoever stands behind one that is in use is let go of.
    private mutating func retireOthers(at now: Instant, into effects: inout [Effect]) {
        guard let used = order.firstIndex(where: { caches[$0]!.isInSync }) else { return }
        for number in order[(used + 1)...] where caches[number]!.state != .idle {
            drop(number, at: now, into: &effects)
            forgetData(number)
        }
    }

    mutating func putInOrder() {
        let places = configuration?.caches ?? []
        func place(_ number: Int) -> Int {
            places.firstIndex { $0.isSameCache(as: caches[number]!.configuration) } ?? places.count
        }
        order = caches.indices.filter { caches[$0] != nil }.map { (number: $0, place: place($0)) }
            .sorted {
                let a = caches[$0.number]!.configuration.preference, b = caches[$1.number]!.configuration.preference
                return a != b ? a < b : $0.place < $1.place
            }
            .map(\.number)
    }

    /// The operator has the session with a cache, or with all of them, begin anew with a Reset Query. What was remembered of
    /// it as fatal is forgotten; what it said stays in force until it has said all again.
    mutating func clear(_ address: String, at now: Instant, into effects: inout [Effect]) {
        let meant = IPAddress(address)
        let numbers = order.filter { address.isEmpty || caches[$0]!.configuration.address == meant }
        guard !numbers.isEmpty else {
            effects.append(.event(Event(.warning, "rpki", "there is no cache \(address)")))
            return
        }
        for number in numbers {
            let own = PacketAddress.ip(caches[number]!.configuration.address)
            fatal.forget { $0.address == own }
            drop(number, at: now, into: &effects)
            caches[number]!.canResume = false
            caches[number]!.failures = 0
            event(.notice, number, "cleared", into: &effects)
        }
    }
}

extension CacheConfiguration {
    func isSameCache(as other: CacheConfiguration) -> Bool { address == other.address && port == other.port }
}
