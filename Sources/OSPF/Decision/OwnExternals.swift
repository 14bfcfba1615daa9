import Machine
import Records
import Routing
import Wire

/// RFC 2328 §12.4.4, RFC 3101 §2.4 and §3, RFC 5340 §4.4.3.6 and §4.4.3.7: what an AS boundary router says of
/// destinations outside the AS, and what a border router of an NSSA passes on from it.
public struct OwnExternals {
    private let local: LocalState
    private let calculation: RouteCalculation
    private let redistributed: RedistributionTable
    private let database: LSDB
    private var version: OSPFVersion { local.configuration.version }
    private var family: AddressFamily { local.configuration.family }

    /// - Parameters:
    ///   - redistributed: routes of other protocols to announce. A default route among them is announced as
    ///     `OSPFConfiguration.defaultOriginate` says, if it says anything.
    ///   - calculation: as of the last calculation of routes.
    public init(
        local: LocalState, calculation: RouteCalculation, redistributed: RedistributionTable, database: LSDB
    ) {
        self.local = local
        self.calculation = calculation
        self.redistributed = redistributed
        self.database = database
    }

    /// The type that `lsas` speaks of in a database; `nil` where externals do not belong.
    public static func type(_ version: OSPFVersion, in id: DatabaseID) -> LSAType? {
        switch id.scope {
        case .link: nil
        case .area: version == .v2 ? .nssa : .nssaV3
        case .autonomousSystem: version == .v2 ? .external : .externalV3
        }
    }

    /// RFC 2328 §3.3: whether our router LSAs say E (in areas that are no stubs). RFC 3101 §3.1: so do border routers
    /// of an NSSA, translating or not.
    public var isBoundaryRouter: Bool {
        if !redistributed.isEmpty || local.configuration.defaultOriginate?.always == true { return true }
        let attached = attachedAreas
        if attached.contains(where: { $0.kind.isNSSA && $0.nssaDefaultOriginate?.always == true }) { return true }
        return calculation.isBorderRouter && attached.contains { $0.kind.isNSSA }
    }

    /// RFC 3101 §3.1: whether we translate type 7 of this area.
    public func isTranslator(of area: UInt32) -> Bool {
        let configuration = local.configuration.area(IPv4Address(raw: area))
        guard calculation.isBorderRouter, configuration.kind.isNSSA,
            local.interfaces.contains(where: { $0.areaID == area && $0.state != .down })
        else { return false }
        switch configuration.nssaTranslator {
        case .always: return true
        case .never: return false
        case .candidate:
            // One that translates always relieves the others; else the highest Router ID does it.
            return !calculation.borderRouters(in: area).contains {
                $0.routerID != local.routerID && ($0.flags.contains(.translator) || $0.routerID > local.routerID)
            }
        }
    }

    private var attachedAreas: [OSPFAreaConfiguration] {
        var ids = local.interfaces.filter { $0.state != .down }.map(\.areaID)
        ids.sort()
        var areas: [OSPFAreaConfiguration] = []
        for id in ids where areas.last?.areaID.raw != id {
            areas.append(local.configuration.area(IPv4Address(raw: id)))
        }
        return areas
    }

    /// External LSAs for the AS (type 5) or for an NSSA (type 7), ascending by key.
    public func lsas(in id: DatabaseID) -> [WantedLSA] {
        switch id.scope {
        case .link: return []
        case .autonomousSystem: return typeFive()
        case .area:
            let area = local.configuration.area(IPv4Address(raw: id.number))
            let isAttached = local.interfaces.contains { $0.areaID == id.number && $0.state != .down }
            return isAttached && area.kind.isNSSA ? typeSeven(area) : []
        }
    }

    // MARK: what we announce ourselves

    private static let largestMetric = InterAreaPrefixLSABody.infinity - 1

    private var defaultPrefix: IPPrefix {
        family == .ipv4 ? .v4(IPv4Prefix(.any, 0)) : .v6(IPv6Prefix(.any, 0))
    }

    private func metric(_ metric: UInt32) -> UInt32 {
        // RFC 6987 §4: a stub router may keep traffic for externals away.
        if local.isStubRouter, let metric = local.configuration.stubRouter?.externalMetric { return metric }
        return min(metric, Self.largestMetric)
    }

    /// Redistributed routes as bodies, without a forwarding address that no area would know; ascending by prefix.
    private func own(forwarding area: UInt32?) -> [ExternalLSABody] {
        var bodies: [ExternalLSABody] = []
        bodies.reserveCapacity(redistributed.entries.count + 1)
        let origination = local.configuration.defaultOriginate
        if origination?.always == true, redistributed[defaultPrefix] == nil {
            bodies.append(body(defaultPrefix, origination))
        }
        var left = Int(local.configuration.limits.redistributedMaximum)
        for entry in redistributed.entries where entry.prefix.family == family {
            // The first in the order of prefixes, whatever the order in which they came.
            if left == 0 { break }
            left -= 1
            if entry.prefix.isDefault, let origination {
                bodies.append(body(entry.prefix, origination))
                continue
            }
            bodies.append(
                ExternalLSABody(
                    prefix: entry.prefix, isType2: entry.route.isExternalMetric,
                    metric: metric(entry.route.metric ?? local.configuration.defaultMetric),
                    forwardingAddress: entry.route.nextHop.flatMap { onLink($0, area: area) }, tag: entry.route.tag))
        }
        return bodies
    }

    private func body(_ prefix: IPPrefix, _ origination: OSPFDefaultOriginate?) -> ExternalLSABody {
        ExternalLSABody(
            prefix: prefix, isType2: origination?.isExternalMetric ?? true,
            metric: metric(origination?.metric ?? local.configuration.defaultMetric), tag: origination?.tag ?? 0)
    }

    /// §12.4.4.1: a next hop on a network with several routers that OSPF tells of is named, so that packets go there at
    /// once.
    private func onLink(_ address: IPAddress, area: UInt32?) -> IPAddress? {
        if case .v6(let address) = address, address.isLinkLocal { return nil }
        let isNear = local.interfaces.contains { interface in
            interface.configuration.network == .broadcast && interface.state > .waiting
                && (area == nil || interface.areaID == area)
                && (area != nil || local.configuration.area(interface.configuration.areaID).kind.importsExternals)
                && interface.device.addresses.contains {
                    $0.address != address && IPPrefix($0.address, $0.prefixLength).contains(address)
                }
        }
        return isNear ? address : nil
    }

    private func wanted(_ bodies: [ExternalLSABody], _ propagates: [Bool], in id: DatabaseID) -> [WantedLSA] {
        guard let type = Self.type(version, in: id) else { return [] }
        let prefixes = bodies.map(\.prefix)
        let ids =
            version == .v2
            ? LinkStateIDs.ospfv2(prefixes)
            : LinkStateIDs.ospfv3(prefixes, type: type, in: id, family: family, database)
        var list: [WantedLSA] = []
        list.reserveCapacity(bodies.count)
        for i in bodies.indices {
            guard let linkStateID = ids[i] else { continue }
            var body = bodies[i]
            var options: OSPFOptions = []
            if id.scope == .autonomousSystem {
                options = .external
            } else if propagates[i] {
                options = .propagate
                body.prefixOptions.insert(.propagate)
            }
            list.append(
                WantedLSA(
                    database: id,
                    key: LSAKey(type: type, linkStateID: linkStateID, advertisingRouter: local.routerID),
                    options: version == .v2 ? UInt8(truncatingIfNeeded: options.rawValue) : 0,
                    body: body.encoded(version: version)))
        }
        return list.sorted { $0.key < $1.key }
    }

    // MARK: type 5

    private func typeFive() -> [WantedLSA] {
        guard attachedAreas.contains(where: { $0.kind.importsExternals }) else { return [] }
        var bodies = own(forwarding: nil)
        let count = bodies.count
        for area in attachedAreas where isTranslator(of: area.areaID.raw) {
            for body in translated(area) {
                // RFC 3101 §3.2 (1): what we announce ourselves stands.
                let isOwn = Self.contains(bodies[..<count], body.prefix)
                if !isOwn { bodies.append(body) }
            }
        }
        bodies.sort { ($0.prefix, $0.metric, $0.tag) < ($1.prefix, $1.metric, $1.tag) }
        var unique: [ExternalLSABody] = []
        for body in bodies where unique.last?.prefix != body.prefix { unique.append(body) }
        return wanted(unique, unique.map { _ in false }, in: .autonomousSystem)
    }

    private static func contains(_ bodies: ArraySlice<ExternalLSABody>, _ prefix: IPPrefix) -> Bool {
        let low = bodies.sortedIndex { $0.prefix < prefix }
        return low < bodies.endIndex && bodies[low].prefix == prefix
    }

    /// RFC 3101 §3.2: type-7 LSAs that our routing table uses and that ask for it, as type 5, gathered by ranges.
    private func translated(_ area: OSPFAreaConfiguration) -> [ExternalLSABody] {
        var bodies: [ExternalLSABody] = []
        var ranges: [(range: OSPFAreaRange, isType2: Bool, metric: UInt32)] = []
        let type: LSAType = version == .v2 ? .nssa : .nssaV3
        for entry in database.entries(of: type, in: .area(area.areaID.raw)) {
            let lsa = entry.lsa
            guard !lsa.header.isMaxAge, lsa.key.advertisingRouter != local.routerID else { continue }
            var reader = lsa.body
            guard
                let body = try? ExternalLSABody(
                    from: &reader, version: version, family: family, linkStateID: lsa.key.linkStateID)
            else { continue }
            let isPropagated =
                version == .v2
                ? OSPFOptions(rawValue: UInt32(lsa.header.options)).contains(.propagate)
                : body.prefixOptions.contains(.propagate)
            // (1): P-bit, a forwarding address, and the way that we would take ourselves.
            guard isPropagated, body.forwardingAddress != nil,
                let route = calculation.route(for: body.prefix), route.isNSSA,
                route.advertisingRouter == lsa.key.advertisingRouter
            else { continue }
            var covering: OSPFAreaRange?
            for range in area.nssaRanges
            where range.prefix.covers(body.prefix) && range.prefix.length >= covering?.prefix.length ?? 0 {
                covering = range
            }
            guard let covering else {
                bodies.append(
                    ExternalLSABody(
                        prefix: body.prefix, isType2: body.isType2, metric: body.metric,
                        forwardingAddress: body.forwardingAddress, tag: body.tag))
                continue
            }
            guard covering.isAdvertised else { continue }
            ranges.append((covering, body.isType2, route.metric))
        }
        // (3): the type of the range is the worse of what it gathers, its metric the largest; of type 2 one more than
        // that.
        ranges.sort {
            ($0.range.prefix, $0.isType2 ? 1 : 0, $0.metric) < ($1.range.prefix, $1.isType2 ? 1 : 0, $1.metric)
        }
        for (i, entry) in ranges.enumerated()
        where i + 1 == ranges.count || ranges[i + 1].range.prefix != entry.range.prefix {
            let metric = entry.range.cost ?? (entry.isType2 ? entry.metric + 1 : entry.metric)
            bodies.append(
                ExternalLSABody(
                    prefix: entry.range.prefix, isType2: entry.isType2, metric: min(metric, Self.largestMetric),
                    tag: entry.range.tag ?? 0))
        }
        return bodies
    }

    // MARK: type 7

    private func typeSeven(_ area: OSPFAreaConfiguration) -> [WantedLSA] {
        let id = area.areaID.raw
        let isAnnouncedAsFive =
            calculation.isBorderRouter && attachedAreas.contains { $0.kind.importsExternals }
        let address = forwardingAddress(area: id)
        var bodies: [ExternalLSABody] = []
        var propagates: [Bool] = []
        // RFC 3101 §2.3: a default for the inside, which no translator may pass on.
        let hasDefault = redistributed[defaultPrefix] != nil || calculation.isBorderRouter
        if let origination = area.nssaDefaultOriginate, origination.always || hasDefault {
            bodies.append(body(defaultPrefix, origination))
            propagates.append(false)
        }
        for var body in own(forwarding: id) {
            if body.prefix.isDefault, bodies.first?.prefix.isDefault == true { continue }
            // RFC 3101 §2.4: what we announce as type 5 as well is not to be translated.
            var isPropagated = !isAnnouncedAsFive
            if isPropagated, body.forwardingAddress == nil {
                // A type-7 LSA that is to be translated has a forwarding address, one of ours if need be.
                body.forwardingAddress = address
                if address == nil { isPropagated = false }
            }
            bodies.append(body)
            propagates.append(isPropagated)
        }
        return wanted(bodies, propagates, in: .area(id))
    }

    /// RFC 3101 §2.3: an address of ours in the NSSA, on a loopback interface rather than on another.
    private func forwardingAddress(area: UInt32) -> IPAddress? {
        var best: (isLoopback: Bool, address: IPAddress)?
        for interface in local.interfaces where interface.areaID == area && interface.state != .down {
            let isLoopback = interface.configuration.network == .loopback || interface.device.isLoopback
            for entry in interface.device.addresses where entry.address.family == family {
                if case .v6(let address) = entry.address, address.isLinkLocal { continue }
                if best == nil || isLoopback && best?.isLoopback == false { best = (isLoopback, entry.address) }
            }
        }
        return best?.address
    }
}
