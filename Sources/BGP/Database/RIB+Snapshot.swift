import Machine
import Routing
import Wire

// The snapshot: tables as blocks, as they lie in memory, hash indices included, so that restoring is reading. What was
// made from configuration goes as Codable values and is made again.

extension RIB: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.writeCodable(configuration)
        writer.writeCodable(shared.policies.snapshot)
        writer.writeCodable(sessions)
        writer.writeBlock(current)
        writer.write(nextDeadline)
        writer.writeBlock(shared.sources)
        writer.write(shared.deferred.rawValue)
        writer.writeBlock(shared.defaultRoutes)
        shared.attributes.write(to: &writer)
        tables.write(to: &writer)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let configuration = try reader.readCodable(BGPConfiguration.self)
        let definitions = try reader.readCodable([PolicyTable.Definition].self)
        let sessions = try reader.readCodable([Session?].self)
        let current = try reader.readBlock(of: UInt16.self)
        let deadline = try reader.readOptionalInstant()
        let sources = try reader.readBlock(of: Source.self)
        let deferred = RouteFamilySet(rawValue: try reader.read())
        let defaultRoutes = try reader.readBlock(of: UInt32.self)
        let attributes = try AttributeTable(from: &reader)
        let tables = try FamilyTables(from: &reader, sets: attributes.sets.count, sources: sources.count)
        let refused = DecodeError("RIB", at: reader.position, .badValue)
        guard sources.count >= Source.firstSession, sessions.count == sources.count else { throw refused }
        guard defaultRoutes.count == Int(RouteFamily.count) else { throw refused }
        for handle in defaultRoutes where Int(handle) >= attributes.sets.count { throw refused }
        for number in current where Int(number) >= sources.count { throw refused }
        for source in sources where Int(source.importChain) >= definitions.count || Int(source.exportChain) >= definitions.count {
            throw refused
        }
        let shared = RIBShared(
            attributes: attributes, sources: sources, deferred: deferred,
            policies: PolicyTable(configuration, snapshot: definitions),
            trapOnPrefix: configuration.testing.trapOnPrefix, notesTrap: configuration.testing.notesTrap,
            defaultRoutes: defaultRoutes)
        for chains in tables.askAll(Chains(), shared) {
            for chain in chains where Int(chain) >= definitions.count { throw refused }
        }
        self.init(restored: configuration, shared, tables, sessions, current)
        nextDeadline = deadline
    }
}

extension SnapshotWriter {
    fileprivate mutating func writeCodable(_ value: some Encodable) {
        // Our own values always encode: there is no dictionary, set or number out of range in them.
        guard let octets = try? BinaryEncoder().encode(value) else { preconditionFailure("configuration encodes") }
        writeBlock(octets)
    }
}
extension SnapshotReader {
    fileprivate mutating func readCodable<T: Decodable>(_: T.Type) throws(DecodeError) -> T {
        let at = position
        let octets = try readBlock(of: UInt8.self)
        do {
            return try BinaryDecoder().decode(T.self, from: octets)
        } catch {
            throw DecodeError("RIB configuration", at: at, .badValue)
        }
    }
}

extension FamilyRIB {
    func write(to writer: inout SnapshotWriter) {
        prefixes.write(to: &writer)
        writer.writeBlock(locRIB.entries)
        adjRIBIn.write(to: &writer)
        writer.writeList(groups) { $0.write(to: &$1) }
        writer.writeBlock(members)
        writer.write(nextGroup)
        writer.write(nextCohort)
        locRIB.changed.write(to: &writer)
        locRIB.altered.write(to: &writer)
        writer.writeList(locRIB.changes) { Family.write($0, to: &$1) }
        locRIB.untold.write(to: &writer)
        writer.write(locRIB.untoldCursor)
        writer.write(locRIB.digest.value)
        writer.writeBlock(releasable)
        writer.write(releaseScanIsDue)
        writer.writeBlock(tasks)
        nextHopsChanged.write(to: &writer)
        nextHopsScanned.write(to: &writer)
        writer.write(nextHopCursor)
        payloadScan.write(to: &writer)
        writer.writeBlock(awaiting)
        writer.write(isAwaitingSorted)
        writer.write(UInt64(locRIB.count))
    }

    init(from reader: inout SnapshotReader, sets: Int, sources: Int) throws(DecodeError) {
        self.init(seed: 0)
        prefixes = try PrefixTable(from: &reader)
        locRIB.entries = try reader.readBlock(of: Entry.self)
        adjRIBIn = try AdjRIBIn(from: &reader)
        groups = try reader.readList { (r) throws(DecodeError) in try UpdateGroup(from: &r) }
        members = try reader.readBlock(of: Member.self)
        nextGroup = try reader.read()
        nextCohort = try reader.read()
        locRIB.changed = try BitSet(from: &reader)
        locRIB.altered = try BitSet(from: &reader)
        locRIB.keepsAltered = groups.contains { $0.parameters.view != .best }
        locRIB.changes = try reader.readList { (r) throws(DecodeError) in try Family.readChange(&r) }
        locRIB.untold = try BitSet(from: &reader)
        locRIB.untoldCursor = try reader.read()
        locRIB.digest = StateDigest(try reader.read())
        releasable = try reader.readBlock(of: UInt32.self)
        releaseScanIsDue = try reader.readBool()
        tasks = try reader.readBlock(of: RIBTask.self)
        nextHopsChanged = try BitSet(from: &reader)
        nextHopsScanned = try BitSet(from: &reader)
        nextHopCursor = try reader.read()
        payloadScan = try PayloadScan(from: &reader)
        awaiting = try reader.readBlock(of: AwaitingPrefix.self)
        isAwaitingSorted = try reader.readBool()
        locRIB.count = try reader.readCount()
        try check(reader.position, sets: sets, sources: sources)
    }

    /// Every number that will be used as an index lies within its table.
    private func check(_ position: Int, sets: Int, sources: Int) throws(DecodeError) {
        let refused = DecodeError("routes", at: position, .badValue)
        let paths = adjRIBIn.paths.count
        guard locRIB.entries.count >= prefixes.capacity, members.count <= sources, adjRIBIn.holdings.count <= sources
        else { throw refused }
        for entry in locRIB.entries where Int(entry.head) >= paths || Int(entry.best) >= paths { throw refused }
        for path in adjRIBIn.paths {
            guard Int(path.received) < sets, Int(path.accepted) < sets else { throw refused }
            guard path.received == 0 || Int(path.prefix) < prefixes.capacity else { throw refused }
        }
        let limit = prefixes.capacity
        guard locRIB.changed.isWithin(limit), locRIB.altered.isWithin(limit), locRIB.untold.isWithin(limit) else { throw refused }
        for number in releasable where Int(number) >= limit { throw refused }
        for task in tasks {
            guard Int(task.source) < sources, task.offset <= UInt32(AdjRIBIn.pageSize),
                task.page == RIBTask.atStart || Int(task.page) <= adjRIBIn.owners.count
            else { throw refused }
        }
        for group in groups {
            for route in group.out.routes where Int(route.handle) >= sets || Int(route.source) >= sources { throw refused }
            guard group.out.routes.count <= limit * group.out.width, !group.cohorts.isEmpty,
                group.out.hasLabels == Family.hasLabels
            else { throw refused }
            for cohort in group.cohorts {
                guard cohort.pending.isWithin(limit) else { throw refused }
                for member in cohort.members {
                    guard Int(member) < members.count else { throw refused }
                    let position = members[Int(member)].position
                    guard position >= cohort.queue.first, position <= cohort.queue.end else { throw refused }
                }
            }
        }
    }
}

extension UpdateGroup: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(id)
        let p = parameters
        for flag in [
            p.isExternal, p.fourOctetAS, p.extendedMessages, p.nextHopSelf, p.removePrivateAS, p.sendCommunities,
            p.nextHopIPv4 != nil, p.nextHopIPv6 != nil, p.linkLocal != nil, p.defaultOriginate, p.sendsPathIDs,
            p.takesIPv6NextHops,
        ] { writer.write(flag) }
        writer.write(p.localAS)
        writer.write(p.defaultLocalPreference)
        writer.write(p.nextHopIPv4?.raw ?? 0)
        for address in [p.nextHopIPv6, p.linkLocal] {
            writer.write(address?.high ?? 0)
            writer.write(address?.low ?? 0)
        }
        writer.write(p.view.rawValue)
        writer.write(p.role.map { $0.rawValue + 1 } ?? 0)
        writer.write(p.takes.rawValue)
        writer.write(p.clusterID)
        writer.write(p.nextHopSelfReflected)
        writer.write(p.replacesPrivateAS)
        writer.write(p.overriddenAS)
        writer.write(p.longLivedStale.rawValue)
        writer.write(p.chain)
        writer.write(p.secondAS)
        writer.write(p.keptAS)
        writer.write(p.isOtherMember)
        writer.writeBlock(p.members)
        writer.write(p.defaultChain)
        writer.write(p.defaultCondition != nil)
        p.defaultCondition?.write(to: &writer)
        writer.write(p.interval)
        out.write(to: &writer)
        writer.writeList(cohorts) { cohort, w in
            w.write(cohort.id)
            w.writeBlock(cohort.members)
            cohort.queue.write(to: &w)
            cohort.pending.write(to: &w)
            w.write(cohort.cursor)
            w.write(cohort.isFirstPass)
        }
        writer.write(lastFlush)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        id = try reader.read()
        var flags: [Bool] = []
        for _ in 0..<12 { flags.append(try reader.readBool()) }
        let localAS: UInt32 = try reader.read()
        let localPreference: UInt32 = try reader.read()
        let v4: UInt32 = try reader.read()
        let v6 = IPv6Address(high: try reader.read(), low: try reader.read())
        let linkLocal = IPv6Address(high: try reader.read(), low: try reader.read())
        let at = reader.position
        guard let view = ExportView(rawValue: try reader.read()) else { throw DecodeError("view", at: at, .badValue) }
        let role: UInt8 = try reader.read()
        guard role <= PeeringRole.allCases.count else { throw DecodeError("role", at: at, .badValue) }
        let takes = SourceClass(rawValue: try reader.read())
        let clusterID: UInt32 = try reader.read()
        let nextHopSelfReflected = try reader.readBool()
        let replacesPrivateAS = try reader.readBool()
        let overriddenAS: UInt32 = try reader.read()
        guard let longLivedStale = LongLivedStaleExport(rawValue: try reader.read()) else {
            throw DecodeError("long-lived stale routes", at: at, .badValue)
        }
        var parameters = ExportParameters(
            isExternal: flags[0], localAS: localAS, defaultLocalPreference: localPreference, fourOctetAS: flags[1],
            extendedMessages: flags[2], nextHopSelf: flags[3], removePrivateAS: flags[4], sendCommunities: flags[5],
            defaultOriginate: flags[9],
            nextHopIPv4: flags[6] ? IPv4Address(raw: v4) : nil, nextHopIPv6: flags[7] ? v6 : nil,
            linkLocal: flags[8] ? linkLocal : nil, view: view, sendsPathIDs: flags[10], takesIPv6NextHops: flags[11],
            role: role == 0 ? nil : PeeringRole(rawValue: role - 1), takes: takes, clusterID: clusterID,
            nextHopSelfReflected: nextHopSelfReflected, replacesPrivateAS: replacesPrivateAS, overriddenAS: overriddenAS,
            longLivedStale: longLivedStale, chain: try reader.read())
        parameters.secondAS = try reader.read()
        parameters.keptAS = try reader.read()
        parameters.isOtherMember = try reader.readBool()
        parameters.members = try reader.readBlock(of: UInt32.self)
        parameters.defaultChain = try reader.read()
        if try reader.readBool() { parameters.defaultCondition = try IPPrefix(from: &reader) }
        parameters.interval = try reader.read()
        self.parameters = parameters
        out = try AdjRIBOut(from: &reader)
        guard out.width == view.width else { throw DecodeError("Adj-RIB-Out", at: at, .badValue) }
        cohorts = try reader.readList { (r) throws(DecodeError) in
            var cohort = Cohort(id: try r.read(), isFirstPass: false)
            cohort.members = try r.readBlock(of: UInt16.self)
            cohort.queue = try SegmentQueue(from: &r)
            cohort.pending = try BitSet(from: &r)
            cohort.cursor = try r.read()
            cohort.isFirstPass = try r.readBool()
            return cohort
        }
        lastFlush = try reader.readInstant()
    }
}

extension ExportView {
    /// In a snapshot: how many paths, 0 for the best one, 255 for `bestAccepted`.
    fileprivate var rawValue: UInt8 {
        switch self {
        case .best: 0
        case .bestAccepted: 255
        case .several: UInt8(width)
        }
    }
    fileprivate init?(rawValue: UInt8) {
        switch rawValue {
        case 0: self = .best
        case 255: self = .bestAccepted
        default:
            guard rawValue <= AdjRIBOut.widthMaximum else { return nil }
            self = .several(rawValue)
        }
    }
}
