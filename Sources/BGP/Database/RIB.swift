import Machine
import Routing
import Wire

/// The Routing Information Base of RFC 4271 §3.2 and §9: Adj-RIBs-In, Loc-RIB, Adj-RIBs-Out.
///
/// One value made of flat arrays: copying it takes no time (the arrays are shared until one side writes), so a copy is
/// the snapshot, encoded by whoever wants it on a thread of its own.
///
/// How the session side uses it:
/// 1. `establish` when a session comes up, `close` when it goes down; `suspend` and `resume` instead when its routes outlive
///    it (`RIB+Stale.swift`).
/// 2. For each UPDATE: `attributes(forKey:context:)`; on `nil` parse and validate the block, then
///    `insertAttributes(key:context:canonical:)`. The *key* is the attribute block as received, less the NLRI of
///    MP_REACH_NLRI and the whole MP_UNREACH_NLRI. *Canonical* octets are attributes as on the wire, sorted by type,
///    with four-octet AS numbers (AS4_PATH merged), without what RFC 7606 discarded, attribute flags normalised except
///    the partial bit of unknown ones, extended length only where the value needs it. An IPv4 next hop is attribute 3, an
///    IPv6 one attribute 14 with AFI 2, SAFI 1, length, next hop (16 or 32 octets), the reserved octet and no NLRI,
///    whatever the family of the routes. LOCAL_PREF is absent on external sessions.
/// 3. `resolveNewNextHops`, then `withdraw` and `announce` with the NLRI octets, which must have been checked.
/// 4. After each record `advertise(at:)`, then `takeOutput` for every peer whose stream has room. Room that appears
///    later (an acknowledgement) calls for the same two again. `nextDeadline` says when `advertise` has work by itself.
///
/// Bounds: paths are bounded by what neighbours may send (`maximumPrefixes`, a session is closed by its owner), sets of
/// attributes by paths, queues of messages by `RIBLimits.lag` and one batch per cohort.
public struct RIB: Sendable {
    var shared: RIBShared
    var tables: FamilyTables
    private(set) var configuration: BGPConfiguration
    /// Established sessions, by source; `nil` where there is none, as for the router's own sources.
    var sessions: [Session?]
    /// Source of each peer's session, by `PeerIndex`; 0 for none.
    var current: [UInt16] = []
    public internal(set) var nextDeadline: Instant?
    /// Announcements that were ignored, since this controller runs.
    var martians: Int { shared.martians }
    /// Announcements that were route leaks (RFC 9234), likewise.
    var leaks: Int { shared.leaks }
    /// Announcements that came back to us by reflection (RFC 4456 §8), likewise.
    var reflectionLoops: Int { shared.reflectionLoops }
    /// Announcements beyond a limit, likewise.
    var extras: Int { shared.extras }
    /// The router's own addresses: host routes to them are ignored.
    public mutating func setOwnAddresses(_ addresses: [IPAddress]) {
        tables.runAll(SetOwnAddresses(addresses: addresses), &shared)
    }
    /// What the RPKI says of origins from here on. Routes under `changed` are judged again by policies that ask for it.
    public mutating func setPayloads(_ payloads: VRPTable, changed: [IPPrefix]) {
        shared.payloads = payloads
        if !changed.isEmpty { tables.runAll(PayloadsChanged(prefixes: changed), &shared) }
    }
    /// So that the table's owner can change it without a copy.
    public mutating func releasePayloads() { shared.payloads = nil }
    /// See `TestingConfiguration.notesTrap`. No part of the state.
    public var hasMetTrap: Bool { shared.hasMetTrap }

    struct Session: Sendable, Hashable, Codable {
        var neighbor: NeighborConfiguration
        var session: RIBSession
    }

    /// `seed` is for hashing only; it is the same on both controllers and secret to others.
    public init(configuration: BGPConfiguration, seed: UInt64) {
        self.configuration = configuration
        shared = RIBShared(
            attributes: AttributeTable(parameters: Self.parameters(configuration), seed: mix64(seed &+ 1)),
            sources: [Source(), Source()], policies: PolicyTable(configuration),
            trapOnPrefix: configuration.testing.trapOnPrefix, notesTrap: configuration.testing.notesTrap)
        for own in [Source.networks, Source.redistribution] {
            shared.sources[own].state = .up
            shared.sources[own].identifier = configuration.routerID.raw
            shared.sources[own].importChain = PolicyTable.acceptAll
        }
        tables = FamilyTables(seed: seed &+ 2)
        sessions = [nil, nil]
        originate(from: [], to: configuration.networks)
    }

    /// From a snapshot.
    init(
        restored configuration: BGPConfiguration, _ shared: RIBShared, _ tables: FamilyTables, _ sessions: [Session?],
        _ current: [UInt16]
    ) {
        self.configuration = configuration
        self.shared = shared
        self.tables = tables
        self.sessions = sessions
        self.current = current
    }

    private static func parameters(_ configuration: BGPConfiguration) -> AttributeTable.Parameters {
        AttributeTable.Parameters(
            routerAS: configuration.routerAS.raw, routerID: configuration.routerID.raw,
            clusterID: (configuration.clusterID ?? configuration.routerID).raw,
            defaultLocalPreference: configuration.defaultLocalPreference,
            confederation: configuration.confederation?.identifier.raw ?? 0, rules: configuration.bestPath.rules)
    }

    // MARK: configuration

    /// Takes policies, networks and defaults from a new configuration; routes are run through changed policies in slices.
    /// Neighbours whose own section changed are to be given again by `update`.
    public mutating func configure(_ new: BGPConfiguration) {
        let old = configuration
        configuration = new
        shared.trapOnPrefix = new.testing.trapOnPrefix
        shared.notesTrap = new.testing.notesTrap
        let parameters = Self.parameters(new)
        if parameters != shared.attributes.parameters {
            shared.attributes.reconfigure(parameters)
            shared.sources[Source.networks].identifier = new.routerID.raw
            shared.sources[Source.redistribution].identifier = new.routerID.raw
            // Ranks and loops may have changed anywhere: as after a change of every next hop.
            touchAllNextHops()
        }
        if old.networks != new.networks { originate(from: old.networks, to: new.networks) }
        let isPolicyChanged = old.definitions != new.definitions || old.ebgpRequiresPolicy != new.ebgpRequiresPolicy
        if isPolicyChanged {
            shared.policies.configure(new)
        }
        let isReflectionChanged = old.clientToClientReflection != new.clientToClientReflection
        let isConfederationChanged = old.confederation != new.confederation
        if isPolicyChanged || isReflectionChanged || isConfederationChanged || parameters != Self.parameters(old) {
            for source in sessions.indices { if let s = sessions[source] { apply(s, source, isNew: false) } }
            let ofGroups = tables.askAll(Chains(), shared).flatMap { $0 }
            shared.policies.keepOnly(shared.sources.flatMap { [$0.importChain, $0.exportChain] } + ofGroups)
        }
    }

    /// RFC 4271 §9.4: networks of our own compete like any other route.
    private mutating func originate(from old: [OriginatedNetwork], to new: [OriginatedNetwork]) {
        for network in old where !new.contains(where: { $0.prefix == network.prefix }) {
            withdraw(network.prefix, from: Source.networks)
        }
        for network in new where !old.contains(network) {
            var route = RouteAttributes()
            route.origin = .igp
            let family = RouteFamily(network.prefix.family)
            let nextHop = network.nextHop.flatMap { family.type.takes($0) ? $0 : nil }
            route.nextHop = nextHop ?? family.type.ownNextHop
            route.med = network.med
            route.communities = network.communities
            route.largeCommunities = network.largeCommunities
            announce(network.prefix, route, from: Source.networks)
        }
    }

    /// Routes of other protocols compete as networks of our own do, with ORIGIN incomplete and the metric as MED.
    mutating func redistribute(_ updates: [RedistributionUpdate]) {
        for update in updates {
            guard let redistributed = update.route else {
                withdraw(update.prefix, from: Source.redistribution)
                continue
            }
            let family = RouteFamily(update.prefix.family)
            var route = RouteAttributes()
            route.origin = .incomplete
            route.nextHop = family.type.ownNextHop
            route.med = redistributed.metric
            if !redistributed.attributes.isEmpty {
                route = PathFacts.performing(
                    redistributed.attributes, on: route, family: family,
                    defaultLocalPreference: shared.attributes.parameters.defaultLocalPreference)
            }
            announce(update.prefix, route, from: Source.redistribution)
        }
    }

    /// A route of the router's own.
    private mutating func announce(_ prefix: IPPrefix, _ route: RouteAttributes, from source: Int) {
        let octets = route.encoded()
        let handle = shared.attributes.intern(octets.span.bytes, marks: .medIsOurs, weight: route.weight)
        let nlri = Self.nlri(prefix)
        tables.run(
            Announce(source: source, received: handle), nlri.span.bytes, on: RouteFamily(prefix.family), &shared)
    }
    private mutating func withdraw(_ prefix: IPPrefix, from source: Int) {
        let nlri = Self.nlri(prefix)
        tables.run(Withdraw(source: source), nlri.span.bytes, on: RouteFamily(prefix.family), &shared)
    }

    static func nlri(_ prefix: IPPrefix) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: 32)
        let size = unsafe octets.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            return switch prefix {
            case .v4(let p): unsafe IPv4Unicast.write(p.packed, label: 0, to: base)
            case .v6(let p): unsafe IPv6Unicast.write(p.packed, label: 0, to: base)
            }
        }
        return Array(octets[..<size])
    }

    // MARK: sessions

    /// A session is up. What is to be sent to it follows from the next `advertise` on.
    public mutating func establish(_ peer: PeerIndex, neighbor: NeighborConfiguration, session: RIBSession) {
        close(peer)
        var source = Source.firstSession
        while source < shared.sources.count, shared.sources[source].state != .free { source += 1 }
        precondition(source < Int(UInt16.max), "at most 65,533 sessions at a time")
        if source == shared.sources.count {
            shared.sources.append(Source())
            sessions.append(nil)
        }
        while current.count <= Int(peer.value) { current.append(0) }
        current[Int(peer.value)] = UInt16(source)
        var entry = Source()
        entry.set(address: neighbor.address)
        entry.identifier = session.identifier.raw
        entry.remoteAS = neighbor.remoteAS.raw
        entry.peer = peer.value
        entry.state = .up
        let kind = configuration.kind(of: neighbor)
        // RFC 5065 §5.3: what another member of the confederation tells us is internal.
        entry.kind = kind == .external ? .external : .internal
        // Another role, or to be a client or none, is another session: these stay what they are.
        entry.sourceClass = kind != .internal ? .outside : neighbor.isReflectorClient ? .client : .nonClient
        entry.role = entry.kind == .external ? neighbor.role : nil
        entry.receivesPathIDs = session.receivesPathIDs
        shared.sources[source] = entry
        apply(Session(neighbor: neighbor, session: session), source, isNew: true)
    }

    /// The configuration of an established neighbour changed, the session stays.
    /// - Parameter view: another one of the families that have none of their own.
    public mutating func update(_ peer: PeerIndex, neighbor: NeighborConfiguration, view: ExportView? = nil) {
        guard let source = source(peer), let old = sessions[source] else { return }
        var session = old.session
        if let view { session.view = view }
        apply(Session(neighbor: neighbor, session: session), source, isNew: false)
    }

    /// Compiles what a neighbour's configuration says for its source, and puts it into the right groups.
    mutating func apply(_ session: Session, _ source: Int, isNew: Bool) {
        sessions[source] = session
        let neighbor = session.neighbor
        let isExternal = shared.sources[source].kind == .external
        func chain(_ names: [String], _ policies: inout PolicyTable) -> Int32 {
            if names.isEmpty {
                // RFC 8212 §2
                return isExternal && configuration.ebgpRequiresPolicy ? PolicyTable.rejectAll : PolicyTable.acceptAll
            }
            return policies.chain(names, neighbor: neighbor.address)
        }
        let importChain = chain(neighbor.importPolicies, &shared.policies)
        let exportChain = chain(neighbor.exportPolicies, &shared.policies)
        let mustReimport = !isNew && importChain != shared.sources[source].importChain
        let before = shared.sources[source]
        let loopsChanged =
            !isNew && (before.allowASIn != neighbor.allowASIn || before.allowsOwnOrigin != neighbor.allowsOwnOrigin)
        let localAS = session.session.answersAsRouter || !isExternal ? nil : neighbor.localAS
        shared.sources[source].allowsOwnOrigin = neighbor.allowsOwnOrigin
        shared.sources[source].localAS = localAS?.asNumber.raw ?? 0
        shared.sources[source].prependsLocalAS = localAS?.noPrepend == false
        let isPathOther = !isNew && before.prependsLocalAS != shared.sources[source].prependsLocalAS
        shared.sources[source].importChain = importChain
        shared.sources[source].exportChain = exportChain
        shared.sources[source].allowASIn = neighbor.allowASIn
        var defaultChain = PolicyTable.acceptAll
        if neighbor.defaultOriginate {
            shared.makeDefaultRoutes()
            let policy = neighbor.defaultRoute.policy
            if !policy.isEmpty { defaultChain = shared.policies.chain([policy], neighbor: neighbor.address) }
        }
        let own = session.session
        shared.sources[source].families = own.families
        var parameters = ExportParameters(
            isExternal: isExternal,
            localAS: configuration.localAS(towards: neighbor, answersAsRouter: own.answersAsRouter).raw,
            defaultLocalPreference: configuration.defaultLocalPreference, fourOctetAS: own.fourOctetAS,
            extendedMessages: own.extendedMessages, nextHopSelf: neighbor.nextHopSelf,
            removePrivateAS: neighbor.removePrivateAS, sendCommunities: neighbor.sendCommunities,
            defaultOriginate: neighbor.defaultOriginate,
            nextHopIPv4: own.nextHopIPv4, nextHopIPv6: own.nextHopIPv6, linkLocal: own.linkLocal,
            view: own.view, chain: exportChain)
        parameters.defaultChain = defaultChain
        parameters.defaultCondition = neighbor.defaultOriginate ? neighbor.defaultRoute.condition : nil
        parameters.interval = neighbor.advertisementInterval
        if isExternal {
            parameters.replacesPrivateAS = neighbor.removePrivateAS && neighbor.replacesPrivateAS
            parameters.overriddenAS = neighbor.overridesAS ? neighbor.remoteAS.raw : 0
            if let localAS, !localAS.replacesAS { parameters.secondAS = configuration.externalAS.raw }
            if neighbor.removePrivateAS, neighbor.remoteAS.isPrivate { parameters.keptAS = neighbor.remoteAS.raw }
            if let confederation = configuration.confederation {
                let all = [configuration.routerAS] + confederation.members
                parameters.members = all.filter { $0 != confederation.identifier }.map(\.raw)
            }
        } else if shared.sources[source].sourceClass == .outside {
            parameters.isOtherMember = true
        } else {
            // RFC 4456 §6: from clients to everybody, from the others to clients.
            if shared.sources[source].sourceClass == .client {
                parameters.takes = configuration.clientToClientReflection ? .all : [.outside, .nonClient]
            } else {
                parameters.takes = [.outside, .client]
            }
            parameters.clusterID = shared.attributes.parameters.clusterID
            if neighbor.gracefulRestart.advertisesStaleRoutes { parameters.longLivedStale = .restricted }
            parameters.nextHopSelfReflected = neighbor.nextHopSelf && neighbor.nextHopSelfReflected
        }
        if own.takesLongLivedStale { parameters.longLivedStale = .all }
        for family in RouteFamily.allCases {
            parameters.sendsPathIDs = own.sendsPathIDs.contains(family)
            parameters.takesIPv6NextHops = own.takesIPv6NextHops.contains(family)
            // RFC 8950 §5: our own address is of the address family that the session runs over, where both would do.
            let isOverIPv6 = neighbor.address.family == .ipv6 && own.nextHopIPv6 != nil
            parameters.nextHopIPv4 = parameters.takesIPv6NextHops && isOverIPv6 ? nil : own.nextHopIPv4
            parameters.view = own.view(family)
            parameters.role = family.code.hasRoles ? shared.sources[source].role : nil
            // Without identifiers a neighbour can tell no two paths apart.
            if case .several = parameters.view {
                parameters.view = parameters.sendsPathIDs ? .several(UInt8(parameters.view.width)) : .bestAccepted
            }
            let carries = own.families.contains(family)
            let limit = neighbor.families.first { $0.family == family && $0.discardsExtra }
            let maximum = carries ? limit?.limit(isInternal: !isExternal) ?? 0 : 0
            tables.run(SetMaximum(source: source, maximum: maximum), on: family, &shared)
            tables.run(Place(source: source, parameters: carries ? parameters : nil), on: family, &shared)
        }
        if mustReimport || loopsChanged || isPathOther { reimport(source) }
        if loopsChanged {
            // Eligibility is no matter of policy: decide again everything that the neighbour announced.
            touchAllNextHops()
        }
    }

    /// The session is down. Its routes count no more; they are removed in slices by `advertise`.
    public mutating func close(_ peer: PeerIndex) {
        guard let source = source(peer) else { return }
        current[Int(peer.value)] = 0
        sessions[source] = nil
        shared.sources[source].state = .sweeping
        tables.runAll(Leave(source: source), &shared)
    }

    /// Whether all routes of the peer's former sessions are gone, so that its index may be given to another neighbour.
    public func isEmpty(_ peer: PeerIndex) -> Bool {
        source(peer) == nil && !shared.sources.contains { $0.peer == peer.value && $0.state == .sweeping }
    }

    func source(_ peer: PeerIndex) -> Int? {
        guard Int(peer.value) < current.count, current[Int(peer.value)] != 0 else { return nil }
        return Int(current[Int(peer.value)])
    }

    // MARK: Adj-RIB-In

    /// The set that these octets are known to mean; `nil` when they were never seen.
    public func attributes(forKey key: RawSpan, context: AttributeContext) -> AttributeHandle? {
        shared.attributes.find(key: key, context: context).map { AttributeHandle($0) }
    }
    /// Remembers what these octets mean. The handle is good until the next `advertise`, and as long as a route holds it.
    public mutating func insertAttributes(
        key: RawSpan, context: AttributeContext, canonical: RawSpan
    ) -> AttributeHandle {
        AttributeHandle(shared.attributes.insert(key: key, context: context, canonical: canonical))
    }
    /// Asks for the state of each next hop that came with attributes since the last call. Routes announced with one of
    /// them in between are decided now.
    public mutating func resolveNewNextHops(_ state: (IPAddress) -> NextHopState) {
        guard hasNewNextHops else { return }
        for number in shared.attributes.resolveNewNextHops(state) { decideAwaiting(number) }
        tables.runAll(ForgetAwaiting(), &shared)
    }
    private mutating func decideAwaiting(_ number: UInt32) {
        tables.runAll(DecideAwaiting(nextHop: number), &shared)
    }
    /// Whether `resolveNewNextHops` has anything to ask; policy that runs in `advertise` can bring new ones, too.
    public var hasNewNextHops: Bool { shared.attributes.nextHops.hasNew }
    /// Next hops in use, ascending: what the routing table manager is to watch.
    public var nextHops: [IPAddress] { shared.attributes.nextHops.addresses }
    /// The way to a next hop changed, or became known. Routes behind it are decided again, in slices: one pass over all paths (about 3 ns
    /// each) serves all changes that came together.
    public mutating func setNextHop(_ address: IPAddress, _ state: NextHopState) {
        guard let number = shared.attributes.nextHops.find(address) else { return }
        switch shared.attributes.setNextHop(number, state) {
        case .nothing: break
        case .awaiting: decideAwaiting(number)
        case .all: touch(number)
        }
    }
    private mutating func touch(_ number: UInt32) {
        tables.runAll(TouchNextHops(numbers: number..<(number + 1)), &shared)
    }
    private mutating func touchAllNextHops() {
        tables.runAll(TouchNextHops(numbers: 0..<UInt32(shared.attributes.nextHops.entries.count)), &shared)
    }

    /// RFC 4271 §9.1: the peer announces these prefixes. Returns how many prefixes of the family it has now.
    @discardableResult
    public mutating func announce(
        _ nlri: RawSpan, _ family: RouteFamily, from peer: PeerIndex, attributes: AttributeHandle
    ) -> Int {
        guard let source = source(peer), attributes != .none else { return 0 }
        tables.run(Announce(source: source, received: attributes.value), nlri, on: family, &shared)
        return tables.ask(Count(source: source), of: family, shared)
    }
    /// The peer withdraws these prefixes; those it never announced are ignored.
    public mutating func withdraw(_ nlri: RawSpan, _ family: RouteFamily, from peer: PeerIndex) {
        guard let source = source(peer) else { return }
        tables.run(Withdraw(source: source), nlri, on: family, &shared)
    }
    /// Removes all routes of a family, as RFC 7606 §2 "AFI/SAFI disable" asks; in slices. The peer announces none meanwhile.
    public mutating func withdrawAll(_ family: RouteFamily, from peer: PeerIndex) {
        guard let source = source(peer) else { return }
        tables.run(AddTask(.withdraw, source), on: family, &shared)
    }
    /// Runs the peer's routes through import policy again, in slices: nothing was thrown away (soft reconfiguration).
    public mutating func reapplyImportPolicy(_ peer: PeerIndex) {
        if let source = source(peer) { reimport(source) }
    }
    private mutating func reimport(_ source: Int) {
        tables.runAll(AddTask(.reimport, source), &shared)
    }
    /// Prefixes that the peer has announced, before policy; with path identifiers each of its paths counts.
    public func prefixCount(_ peer: PeerIndex, _ family: RouteFamily) -> Int {
        guard let source = source(peer) else { return 0 }
        return tables.ask(Count(source: source), of: family, shared)
    }

    // MARK: Adj-RIB-Out

    /// RFC 2918 §4: send everything of this family again.
    /// - Parameter isMarked: between the marks of RFC 7313 §4.
    /// - Returns: `false`: the marks must wait until End-of-RIB is sent, and so must the refresh.
    @discardableResult
    public mutating func refresh(_ peer: PeerIndex, _ family: RouteFamily, isMarked: Bool = false) -> Bool {
        guard let source = source(peer) else { return true }
        var refresh = Refresh(source: source, isMarked: isMarked)
        tables.run(&refresh, on: family, &shared)
        return refresh.isDone
    }
    /// Does the work that is due: removal of closed sessions' routes, re-evaluation, export and encoding. Bounded per call.
    /// - Parameter defersTasks: removal and re-evaluation wait for the next call.
    public mutating func advertise(at now: Instant, defersTasks: Bool = false) {
        var advertise = Advertise(now: now, defersTasks: defersTasks)
        tables.runAll(&advertise, &shared)
        nextDeadline = advertise.deadline
        for source in shared.sources.indices where shared.sources[source].state == .sweeping {
            if tables.askAll(IsDone(source: source), shared).allSatisfy({ $0 }) { shared.sources[source] = Source() }
        }
        shared.attributes.collect()
    }
    /// Gives the next messages for the peer, whole and in order, until `limit` octets are reached or none is left;
    /// a single slice (at most 65,535 octets) may go beyond the limit. Returns the octets given.
    @discardableResult
    public mutating func takeOutput(
        for peer: PeerIndex, limit: Int, _ body: (ArraySlice<UInt8>) -> Void
    ) -> Int {
        guard let source = source(peer) else { return 0 }
        var given = 0
        var families = shared.sources[source].families.rawValue
        while families != 0, given < limit {
            let family = RouteFamily(known: UInt8(truncatingIfNeeded: families.trailingZeroBitCount))
            families &= families &- 1
            given += tables.take(source, of: family, limit: limit - given, body)
        }
        return given
    }

    // MARK: Loc-RIB

    public var hasRouteChanges: Bool {
        !tables.ipv4Unicast.locRIB.changes.isEmpty || !tables.ipv6Unicast.locRIB.changes.isEmpty
    }
    /// Changes of best routes since the last call, in the order in which they happened. A prefix can occur more than once.
    public mutating func takeIPv4Changes() -> [BestRouteChange<IPv4Address>] {
        var taken: [BestRouteChange<IPv4Address>] = []
        swap(&taken, &tables.ipv4Unicast.locRIB.changes)
        return taken
    }
    public mutating func takeIPv6Changes() -> [BestRouteChange<IPv6Address>] {
        var taken: [BestRouteChange<IPv6Address>] = []
        swap(&taken, &tables.ipv6Unicast.locRIB.changes)
        return taken
    }
    /// Equal on two controllers at equal log indices.
    public var digest: StateDigest {
        var digest = StateDigest()
        for family in tables.askAll(TableDigest(), shared) { digest.mix(family) }
        digest.mix(shared.deferred.rawValue)
        return digest
    }
}

extension FamilyRIB {
    /// Joins, moves or leaves, as the parameters ask.
    mutating func place(_ source: Int, _ parameters: ExportParameters?, _ shared: inout RIBShared) {
        if source < members.count, members[source].group != 0 {
            let known = groups.first { $0.id == members[source].group }
            if known?.parameters == parameters { return }
            if let parameters {
                move(source, parameters, &shared)
            } else {
                leave(source, &shared)
            }
        } else if let parameters {
            join(source, parameters)
        }
    }
    func isBusy(_ source: Int) -> Bool { tasks.contains { $0.source == UInt16(source) } }
}
