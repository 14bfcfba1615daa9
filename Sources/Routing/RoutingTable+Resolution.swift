import Machine
import Records
import Wire

// Where next hops lead.
//
// A next hop of BGP or of a static route is an address that need not be on a connected network. It is looked up by
// longest match among the routes that do not depend on BGP: connected and interior ones as protocols offer them, static
// ones as they are configured. Of one prefix the offer with the lowest distance counts, whether or not BGP has a better
// one there: what resolves a BGP next hop never depends on BGP, so that it cannot swing to and fro. A default route
// resolves no next hop (it would make every next hop "reachable" and hide failures), except for the router's own packets.
//
// A static route that drops what goes to the very address of a next hop resolves it, and so does one for a part of the
// discard prefix (RFC 6666): that is how a BGP route is made to drop packets on many routers at once (RFC 5635 §3). One that
// drops another network does not. It stands there as an aggregate, for what is more specific and gone, and a next hop whose own
// route is lost must not be taken for one that is meant to drop.
//
// The answer depends on the table alone and on nothing that happened before. It is kept for every address that somebody
// uses (`TrackedNextHops`), and looked up again when a route changed under whose prefix the address lies; what follows
// from a changed answer is done in the same call (`settle`): sets of next hops, static routes that lead somewhere now or
// no longer, and through them other addresses.

/// What one resolution may spend and what it met. Static routes over static routes are followed to some depth; who needs
/// more wrote a circle.
struct ResolutionWalk {
    static let depthMaximum = 8
    var budget = 256
    var depth = 0
    var hasLoop = false
    var missesInterface = false
    /// Static routes on the way, by number.
    var through: [UInt32] = []
}

extension RoutingTable {
    // MARK: looking up

    /// The way to an address as the table is now.
    func resolve(_ address: Key.Address, allowsDefault: Bool = false) -> Resolution {
        var walk = ResolutionWalk()
        var result = resolve(address, allowsDefault: allowsDefault, &walk)
        result.hops = Self.normal(result.hops)
        result.hasLoop = walk.hasLoop
        result.missesInterface = walk.missesInterface
        return result
    }

    private func resolve(_ address: Key.Address, allowsDefault: Bool, _ walk: inout ResolutionWalk) -> Resolution {
        walk.budget -= 1
        if walk.budget < 0 || walk.depth > ResolutionWalk.depthMaximum {
            walk.hasLoop = true
            return Resolution()
        }
        walk.depth += 1
        defer { walk.depth -= 1 }
        var length = Int(Key.lengthMaximum)
        while length >= (allowsDefault ? 0 : 1) {
            if underlayCounts[length] != 0 || statics.prefixes.lengthCounts[length] != 0,
                var found = match(Key(address, UInt8(length)), address, &walk)
            {
                found.length = Int16(length)
                return found
            }
            length -= 1
        }
        return Resolution()
    }

    /// What the routes for exactly this prefix say; `nil` when none of them counts.
    private func match(_ prefix: Key, _ address: Key.Address, _ walk: inout ResolutionWalk) -> Resolution? {
        let offer = underlayOffer(prefix)
        guard let number = statics.prefixes.find(prefix) else { return offer.map { follow($0, address, &walk) } }
        // Of equal distances the static route comes before all but connected ones, as when they are offered.
        let isConnected = offer?.source == RouteProtocol.connected.rawValue
        let limit = offer.map { isConnected ? Int($0.distance) : Int($0.distance) + 1 } ?? 256
        if let result = followStatic(number, distances: 0..<limit, &walk) { return result }
        if let offer { return follow(offer, address, &walk) }
        return nil
    }

    /// The best offer that can resolve next hops.
    private func underlayOffer(_ prefix: Key) -> Offer? {
        guard underlayCounts[Int(prefix.length)] != 0, let number = prefixes.find(prefix) else { return nil }
        var found: Offer? = nil
        var offer = best[Int(number)]
        while true {
            if Self.isUnderlay(offer.source), offer.isUsable, found.map({ offer.isBetter(than: $0) }) ?? true { found = offer }
            if offer.more == 0 { return found }
            offer = others[Int(offer.more - 1)]
        }
    }

    private func follow(_ offer: Offer, _ address: Key.Address, _ walk: inout ResolutionWalk) -> Resolution {
        var result = Resolution()
        result.metric = offer.hasTag ? tagged[Int(offer.metric - 1)].metric : offer.metric
        for nextHop in sets.sets[Int(offer.nextHops)].nextHops {
            switch nextHop {
            case .connected(let interface):
                if isUp(interface, &walk) { result.hops.append(FIBNextHop(interface: interface, gateway: Key.address(address))) }
            case .via(let gateway, let interface):
                if isUp(interface, &walk) { result.hops.append(FIBNextHop(interface: interface, gateway: gateway)) }
            case .gateway(let gateway):
                guard let own = Key.own(gateway) else { continue }
                result.hops += resolve(own, allowsDefault: false, &walk).hops
            case .blackhole: break
            }
        }
        return result
    }

    private func isUp(_ interface: InterfaceID, _ walk: inout ResolutionWalk) -> Bool {
        if isUp(interface) { return true }
        walk.missesInterface = true
        return false
    }
    func isUp(_ interface: InterfaceID) -> Bool {
        Int(interface.value) >= interfaces.count || interfaces[Int(interface.value)]
    }

    /// Where the static routes of a prefix lead: the first of these distances that leads anywhere, `nil` for none.
    private func followStatic(_ number: UInt32, distances: Range<Int>, _ walk: inout ResolutionWalk) -> Resolution? {
        if walk.through.contains(number) {
            walk.hasLoop = true
            return nil
        }
        walk.through.append(number)
        defer { walk.through.removeLast() }
        for choice in statics.choices[Int(number)] where distances.contains(Int(choice.distance)) {
            if choice.isBlackhole {
                var end = Resolution()
                end.isBlackhole = isDiscard(statics.prefixes[number])
                return end
            }
            if let result = follow(choice, &walk) { return result }
        }
        return nil
    }

    /// Whether a blackhole at this prefix says that next hops in it are meant to drop.
    private func isDiscard(_ prefix: Key) -> Bool {
        if prefix.length == Key.lengthMaximum { return true }
        guard case .v6(let v6) = prefix.anyFamily else { return false }
        return IPv6Prefix.discardOnly.covers(v6)
    }

    /// A static route's cost is one more than that of the way to its next hop.
    private func follow(_ choice: StaticRoutes<Key>.Choice, _ walk: inout ResolutionWalk) -> Resolution? {
        var result = Resolution()
        var metric: UInt32? = nil
        for nextHop in choice.nextHops {
            switch nextHop {
            case .gateway(let gateway):
                guard let own = Key.own(gateway) else { continue }
                let way = resolve(own, allowsDefault: false, &walk)
                guard way.isReachable else { continue }
                result.hops += way.hops
                if way.isBlackhole { result.isBlackhole = true }
                metric = min(metric ?? .max, way.metric)
            case .via(let gateway, let interface):
                guard isUp(interface, &walk) else { continue }
                result.hops.append(FIBNextHop(interface: interface, gateway: gateway))
                metric = 0
            case .connected(let interface):
                guard isUp(interface, &walk) else { continue }
                result.hops.append(FIBNextHop(interface: interface, gateway: nil))
                metric = 0
            case .blackhole: break
            }
        }
        guard let metric else { return nil }
        if !result.hops.isEmpty { result.isBlackhole = false }
        result.metric = metric == .max ? metric : metric + 1
        return result
    }

    /// Ascending, without duplicates, and not more than a group may hold.
    static func normal(_ hops: [FIBNextHop]) -> [FIBNextHop] {
        if hops.count < 2 { return hops }
        var result: [FIBNextHop] = []
        for hop in hops.sorted() where result.last != hop { result.append(hop) }
        return Array(result.prefix(RouteOffer.nextHopsMaximum))
    }

    // MARK: sets of next hops

    /// The number of a set, with one use more, resolved.
    mutating func retain(_ set: NextHopSet) -> UInt32 {
        let (number, isNew) = sets.retain(set)
        if isNew { adopt(number) }
        return number
    }

    /// Watches what a new set holds, and resolves it.
    mutating func adopt(_ number: UInt32) {
        let set = sets.sets[Int(number)]
        for nextHop in set.nextHops + set.backup {
            guard case .gateway(let address) = nextHop, let own = Key.own(address) else { continue }
            let place = track(own)
            tracked.entries[Int(place)].sets.append(number)
            tracked.entries[Int(place)].uses += 1
        }
        resolveSet(number)
    }

    /// The last use of a set is gone.
    mutating func forget(_ number: UInt32) {
        let set = sets.remove(number)
        for nextHop in set.nextHops + set.backup {
            guard case .gateway(let address) = nextHop, let own = Key.own(address), let place = tracked.find(own) else {
                continue
            }
            tracked.entries[Int(place)].uses -= 1
            let entry = tracked.entries[Int(place)]
            if entry.sets.count > 2 * entry.uses + 16 {
                var kept: [UInt32] = []
                for number in entry.sets.sorted() where kept.last != number && holds(number, own) { kept.append(number) }
                tracked.entries[Int(place)].sets = kept
            }
            tracked.removeIfUnused(place)
        }
    }

    private func holds(_ number: UInt32, _ address: Key.Address) -> Bool {
        guard sets.isPresent(number) else { return false }
        let set = sets.sets[Int(number)]
        return (set.nextHops + set.backup).contains {
            if case .gateway(let gateway) = $0 { Key.own(gateway) == address } else { false }
        }
    }

    /// What a set means now, from what is known of the addresses in it. The backup counts when nothing else leads anywhere.
    mutating func resolveSet(_ number: UInt32) {
        let set = sets.sets[Int(number)]
        var hops = hops(of: set.nextHops)
        if hops.isEmpty, !isBlackhole(set.nextHops) { hops = self.hops(of: set.backup) }
        sets.resolve(number, to: hops)
    }

    private func hops(of nextHops: [NextHop]) -> [FIBNextHop] {
        var hops: [FIBNextHop] = []
        for nextHop in nextHops {
            switch nextHop {
            case .connected(let interface):
                if isUp(interface) { hops.append(FIBNextHop(interface: interface, gateway: nil)) }
            case .via(let gateway, let interface):
                if isUp(interface) { hops.append(FIBNextHop(interface: interface, gateway: gateway)) }
            case .gateway(let address):
                guard let own = Key.own(address), let place = tracked.find(own) else { continue }
                hops += tracked.entries[Int(place)].resolution.hops
            case .blackhole: break
            }
        }
        return Self.normal(hops)
    }

    /// Whether what goes there is dropped because the operator wants it, if none of them leads anywhere.
    func isBlackhole(_ nextHops: [NextHop]) -> Bool {
        nextHops.contains { nextHop in
            switch nextHop {
            case .blackhole: return true
            case .gateway(let address):
                guard let own = Key.own(address), let place = tracked.find(own) else { return false }
                return tracked.entries[Int(place)].resolution.isBlackhole
            case .connected, .via: return false
            }
        }
    }

    /// The place of an address among those tracked, resolved.
    private mutating func track(_ address: Key.Address) -> UInt32 {
        let (place, isNew) = tracked.insert(address)
        if isNew {
            let resolution = resolve(address)
            tracked.entries[Int(place)].resolution = resolution
            if resolution.hasLoop { circular.append(address) }
        }
        return place
    }

    /// As `track` of a new address, for one that came with a snapshot.
    mutating func resumeTracking(_ place: UInt32) {
        let resolution = resolve(tracked.address(place))
        tracked.entries[Int(place)].resolution = resolution
        if resolution.hasLoop { circular.append(tracked.address(place)) }
    }

    // MARK: settling

    /// Draws the consequences of changed routes for everything that is resolved through them. Work in proportion to the
    /// addresses under the changed prefixes, and to the sets that hold those whose way changed.
    mutating func settle() {
        if unsettled.isEmpty { return }
        var next = 0
        while true {
            while next < unsettled.count {
                let prefix = unsettled[next]
                next += 1
                for place in tracked.covered(by: prefix)
                where tracked.entries[Int(place)].resolution.length <= Int16(prefix.length) {
                    resolveAgain(place)
                }
                resolveDestinations(under: prefix)
            }
            // Their number is that of mistakes in the configuration.
            let before = unsettled.count
            let suspects = circular
            circular.removeAll()
            for address in suspects {
                guard let place = tracked.find(address) else { continue }
                resolveAgain(place)
                if tracked.entries[Int(place)].resolution.hasLoop, !circular.contains(address) { circular.append(address) }
            }
            if unsettled.count == before { break }
        }
        unsettled.removeAll(keepingCapacity: unsettled.count < 4096)
    }

    private mutating func resolveAgain(_ place: UInt32) {
        let address = tracked.address(place)
        let new = resolve(address)
        let old = tracked.entries[Int(place)].resolution
        if new == old { return }
        tracked.entries[Int(place)].resolution = new
        if new.hasLoop, !circular.contains(address) { circular.append(address) }
        if tracked.entries[Int(place)].isWatched { news.append(address) }
        if new.hops != old.hops || new.isBlackhole != old.isBlackhole {
            for set in tracked.entries[Int(place)].sets where sets.isPresent(set) { resolveSet(set) }
        }
        for number in tracked.entries[Int(place)].statics { evaluateStatic(number) }
    }

    // MARK: interfaces

    /// Which interfaces are up; connected routes are the caller's business.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func setInterfaces(_ states: [Bool]) {
        if states == interfaces { return }
        let old = interfaces
        interfaces = states
        func isOther(_ interface: InterfaceID) -> Bool {
            let i = Int(interface.value)
            return (i < old.count ? old[i] : true) != (i < states.count ? states[i] : true)
        }
        for place in tracked.all() {
            let resolution = tracked.entries[Int(place)].resolution
            if resolution.missesInterface || resolution.hops.contains(where: { isOther($0.interface) }) { resolveAgain(place) }
        }
        for number in sets.present {
            let set = sets.sets[Int(number)]
            let isConcerned = (set.nextHops + set.backup).contains {
                switch $0 {
                case .via(_, let interface), .connected(let interface): isOther(interface)
                case .gateway, .blackhole: false
                }
            }
            if isConcerned { resolveSet(number) }
        }
        for number in statics.numbers { evaluateStatic(number) }
        for i in destinations.indices { resolveDestination(i) }
        settle()
    }

    // MARK: static routes

    /// Replaces all static routes. For configuration changes.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func setStatics(_ routes: [StaticRouteSpecification<Key>]) {
        let old = statics
        statics = StaticRoutes(routes, seed: prefixes.seed)
        var gateways: [Key.Address] = []
        for number in old.numbers { gateways += Self.gateways(old.choices[Int(number)]) }
        for address in gateways {
            guard let place = tracked.find(address) else { continue }
            tracked.entries[Int(place)].statics.removeAll()
        }
        adoptStatics()
        for number in old.numbers {
            let prefix = old.prefixes[number]
            // What was there resolved others, even if nothing of it was changed but its number.
            unsettled.append(prefix)
            if statics.prefixes.find(prefix) == nil { remove(prefix, .static) }
        }
        for number in statics.numbers { unsettled.append(statics.prefixes[number]) }
        settle()
        for address in gateways { if let place = tracked.find(address) { tracked.removeIfUnused(place) } }
    }

    /// Tracks the static routes' next hops and offers those that lead somewhere.
    mutating func adoptStatics() {
        for number in statics.numbers {
            for address in Self.gateways(statics.choices[Int(number)]) {
                let place = track(address)
                if !tracked.entries[Int(place)].statics.contains(number) { tracked.entries[Int(place)].statics.append(number) }
            }
        }
        for number in statics.numbers { evaluateStatic(number) }
    }

    private static func gateways(_ choices: [StaticRoutes<Key>.Choice]) -> [Key.Address] {
        choices.flatMap { choice in
            choice.nextHops.compactMap { nextHop in
                if case .gateway(let address) = nextHop { return Key.own(address) }
                return nil
            }
        }
    }

    /// Offers a static route while it leads somewhere.
    private mutating func evaluateStatic(_ number: UInt32) {
        var walk = ResolutionWalk()
        walk.through.append(number)
        var chosen: StaticRoutes<Key>.Choice? = nil
        var result = Resolution()
        for choice in statics.choices[Int(number)] {
            if choice.isBlackhole {
                chosen = choice
                break
            }
            if let found = follow(choice, &walk) {
                chosen = choice
                result = found
                break
            }
        }
        result.hops = Self.normal(result.hops)
        let prefix = statics.prefixes[number]
        if statics.results[Int(number)] != result {
            isDestinationNews = true
            statics.results[Int(number)] = result
            unsettled.append(prefix)
        }
        if let chosen {
            change(
                prefix, RouteOffer(nextHops: chosen.nextHops, metric: 0, distance: chosen.distance, tag: chosen.tag),
                from: .static)
        } else {
            remove(prefix, .static)
        }
    }

    // MARK: whom it concerns

    /// What BGP is told of a next hop; it is watched from now on.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func watch(_ address: Key.Address) -> (isReachable: Bool, metric: UInt32) {
        let place = track(address)
        let state = Self.told(tracked.entries[Int(place)].resolution)
        tracked.entries[Int(place)].isWatched = true
        tracked.entries[Int(place)].told = state
        return (state != .max, UInt32(truncatingIfNeeded: state))
    }

    public mutating func unwatch(_ address: Key.Address) {
        guard let place = tracked.find(address) else { return }
        tracked.entries[Int(place)].isWatched = false
        tracked.removeIfUnused(place)
    }

    static func told(_ resolution: Resolution) -> UInt64 { resolution.isReachable ? UInt64(resolution.metric) : .max }

    /// Watched next hops whose state is another than was told, ascending.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func takeNextHopNews() -> [(address: Key.Address, isReachable: Bool, metric: UInt32)] {
        if news.isEmpty { return [] }
        var result: [(address: Key.Address, isReachable: Bool, metric: UInt32)] = []
        for address in news.sorted() {
            guard let place = tracked.find(address), tracked.entries[Int(place)].isWatched else { continue }
            let state = Self.told(tracked.entries[Int(place)].resolution)
            if state == tracked.entries[Int(place)].told { continue }
            tracked.entries[Int(place)].told = state
            result.append((address, state != .max, UInt32(truncatingIfNeeded: state)))
        }
        news.removeAll()
        return result
    }

    /// The addresses that the router itself talks to.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func setDestinations(_ addresses: [Key.Address]) {
        let wanted = addresses.sorted()
        if wanted == destinations.map(\.address) { return }
        destinations = wanted.map { ($0, resolve($0, allowsDefault: true)) }
        isDestinationNews = true
    }

    private mutating func resolveDestinations(under prefix: Key) {
        var low = destinations.sortedIndex { $0.address < prefix.address }
        while low < destinations.count, Key(destinations[low].address, prefix.length) == prefix {
            resolveDestination(low)
            low += 1
        }
    }

    private mutating func resolveDestination(_ index: Int) {
        let new = resolve(destinations[index].address, allowsDefault: true)
        if new == destinations[index].resolution { return }
        destinations[index].resolution = new
        isDestinationNews = true
    }

    /// The way of the router's own packets to an address, wherever it is: `nil` when there is none.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public func way(to address: Key.Address) -> FIBNextHop? { resolve(address, allowsDefault: true).hops.first }

    /// Whether the ways to destinations or of static routes changed since the last call.
    public mutating func takeDestinationNews() -> Bool {
        defer { isDestinationNews = false }
        return isDestinationNews
    }

    /// First hops of destinations that are reached through a router, ascending.
    public var destinationWays: [(address: Key.Address, way: FIBNextHop)] {
        destinations.compactMap { destination in
            guard let way = destination.resolution.hops.first, way.gateway != Key.address(destination.address) else { return nil }
            return (destination.address, way)
        }
    }

    /// First hops of the static routes that lead somewhere, in the order of the configuration.
    public var staticWays: [(prefix: Key, way: FIBNextHop)] {
        statics.numbers.compactMap { number in
            statics.results[Int(number)].hops.first.map { (statics.prefixes[number], $0) }
        }
    }
}
