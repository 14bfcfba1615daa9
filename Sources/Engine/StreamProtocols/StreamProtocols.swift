import BGP
import Machine
import RTR
import Records
import Routing
import Wire

extension StreamProtocolID {
    /// The router's own BGP process, whose best routes are offered to the routing table.
    static let bgp = StreamProtocolID(0)
    /// The client of the RPKI caches.
    static let rtr = StreamProtocolID(1)
    /// Further BGP processes.
    static let processes =
        StreamProtocolID(
            BGPProcessConfiguration.numbers.lowerBound)...StreamProtocolID(
            BGPProcessConfiguration.numbers.upperBound)

    /// Under which name the routing table manager knows its routes and what is redistributed into it; `nil`: it has no part
    /// in either.
    var routeProtocol: RouteProtocol? { self == .bgp ? .bgp : nil }

    /// Who announces the routes that are redistributed into a protocol.
    static func announcers(for target: RouteProtocol) -> [StreamProtocolID] { target == .bgp ? [.bgp] : [] }
}

/// What instances asked for, by their number: each hands over its own list, and nobody copies one.
typealias StreamWishes = InlineArray<8, [StreamProtocolEffect]>

/// The protocols of the router that speak over connections, side by side. None knows another. Whose a connection is, who
/// listens to whom and who watches which next hop is known here and by number: the rest of the engine, the transport table
/// and the line card know none of them by name.
struct StreamProtocols: Sendable {
    struct Process: Sendable {
        let id: StreamProtocolID
        var bgp: BGPInstance
    }
    /// A next hop and who watches it, as a set of bits by number.
    private struct Tracker: Sendable {
        var address: IPAddress
        var instances: UInt8
    }

    var bgp: BGPInstance
    private(set) var rtr: RTRInstance
    /// Ascending by number. One that was configured once stays, as the router's own does.
    private(set) var processes: [Process] = []
    /// With whom each instance speaks, by its number.
    private var endpoints: [[StreamEndpoint]] = Array(repeating: [], count: StreamProtocols.instancesMaximum)
    /// Ascending by address.
    private var trackers: [Tracker] = []
    /// Whether the pair has a standby in lock step: for processes that are configured later.
    private var isRedundant = false
    private let seed: UInt64
    /// No part of the state.
    private var watch = PacketWatch()

    static let instancesMaximum = 8

    /// - Parameters:
    ///   - bgp: seed of the router's own process.
    ///   - others: seed of the others.
    init(bgp: UInt64, others: UInt64) {
        self.bgp = BGPInstance(seed: bgp)
        rtr = RTRInstance(seed: seededHash(others, UInt64(StreamProtocolID.rtr.value), seed: 0x7270_6b69))
        seed = others
        sharePayloads()
    }

    // MARK: inputs

    mutating func configure(_ configuration: RouterConfiguration, at now: Instant, into wishes: inout StreamWishes) {
        let interfaces = configuration.interfaces
        bgp.handle(.configure(configuration.linkedBGP, interfaces), at: now, into: &wishes[Int(StreamProtocolID.bgp.value)])
        tellRTR(at: now, into: &wishes) { rtr, effects in
            rtr.handle(.configure(configuration.rtr, interfaces), at: now, into: &effects)
        }
        let wanted = configuration.bgpProcesses ?? []
        for process in wanted where BGPProcessConfiguration.numbers.contains(process.number) {
            begin(StreamProtocolID(process.number), at: now, into: &wishes)
        }
        for i in processes.indices {
            let number = processes[i].id.value
            let own = configuration.linkedBGP(process: number)
            processes[i].bgp.handle(.configure(own, interfaces), at: now, into: &wishes[Int(number)])
        }
    }

    private mutating func begin(_ id: StreamProtocolID, at now: Instant, into wishes: inout StreamWishes) {
        let place = processes.firstIndex { $0.id >= id } ?? processes.count
        if place < processes.count, processes[place].id == id { return }
        var instance = BGPInstance(seed: seededHash(seed, UInt64(id.value), seed: 0x7072_6f63))
        instance.progress = watch.progress
        instance.rib.setPayloads(rtr.table, changed: [])
        instance.handle(.redundancy(isRedundant), at: now, into: &wishes[Int(id.value)])
        processes.insert(Process(id: id, bgp: instance), at: place)
    }

    mutating func handle(
        _ news: StreamProtocolNews, for id: StreamProtocolID, at now: Instant, into wishes: inout StreamWishes
    ) {
        switch id {
        case .bgp: Self.tell(&bgp, news, at: now, into: &wishes[Int(id.value)])
        case .rtr: tellRTR(at: now, into: &wishes) { Self.tell(&$0, news, at: now, into: &$1) }
        default:
            guard let place = processes.firstIndex(where: { $0.id == id }) else { return }
            Self.tell(&processes[place].bgp, news, at: now, into: &wishes[Int(id.value)])
        }
    }

    /// What the client of the RPKI learns, all BGP processes know before anything else happens. While it learns, it alone has
    /// the table: nothing is copied.
    private mutating func tellRTR(
        at now: Instant, into wishes: inout StreamWishes, _ body: (inout RTRInstance, inout [StreamProtocolEffect]) -> Void
    ) {
        bgp.rib.releasePayloads()
        for place in processes.indices { processes[place].bgp.rib.releasePayloads() }
        body(&rtr, &wishes[Int(StreamProtocolID.rtr.value)])
        let changed = rtr.takeChanges()
        if changed.isEmpty { return sharePayloads() }
        handle(.payloads(rtr.table, changed: changed), for: .bgp, at: now, into: &wishes)
        for process in processes { handle(.payloads(rtr.table, changed: changed), for: process.id, at: now, into: &wishes) }
    }

    private mutating func sharePayloads() {
        bgp.rib.setPayloads(rtr.table, changed: [])
        for place in processes.indices { processes[place].bgp.rib.setPayloads(rtr.table, changed: []) }
    }

    private static func tell<Instance: StreamProtocol>(
        _ instance: inout Instance, _ news: StreamProtocolNews, at now: Instant, into wishes: inout [StreamProtocolEffect]
    ) {
        instance.handle(news.input(Instance.Configuration.self), at: now, into: &wishes)
    }

    /// Those that are there, in the order in which they are served.
    private var instances: [StreamProtocolID] { [.bgp, .rtr] + processes.map(\.id) }

    mutating func tellAll(_ news: StreamProtocolNews, at now: Instant, into wishes: inout StreamWishes) {
        for id in instances { handle(news, for: id, at: now, into: &wishes) }
    }

    mutating func noteRedundancy(_ isRedundant: Bool, at now: Instant, into wishes: inout StreamWishes) {
        self.isRedundant = isRedundant
        tellAll(.redundancy(isRedundant), at: now, into: &wishes)
    }

    /// Whoever has the peer that costs the most lets go of it; of equal ones the first.
    mutating func shed(at now: Instant, into wishes: inout StreamWishes) {
        var most = (id: StreamProtocolID.bgp, count: bgp.largestNeighbor)
        for process in processes where process.bgp.largestNeighbor > most.count {
            most = (process.id, process.bgp.largestNeighbor)
        }
        handle(.memoryExhausted, for: most.id, at: now, into: &wishes)
    }

    /// A command that names a neighbour goes to the process that has it; to the router's own if none has.
    mutating func run(_ command: EngineCommand, neighbor: String, at now: Instant, into wishes: inout StreamWishes) {
        var id = StreamProtocolID.bgp
        if let address = IPAddress(neighbor), !bgp.hasNeighbor(address) {
            id = processes.first { $0.bgp.hasNeighbor(address) }?.id ?? id
        }
        handle(.command(command), for: id, at: now, into: &wishes)
    }

    // MARK: time

    mutating func fireTimers(at now: Instant, into wishes: inout StreamWishes) {
        if let deadline = bgp.nextDeadline, deadline <= now { handle(.time, for: .bgp, at: now, into: &wishes) }
        if let deadline = rtr.nextDeadline, deadline <= now { handle(.time, for: .rtr, at: now, into: &wishes) }
        for place in processes.indices {
            guard let deadline = processes[place].bgp.nextDeadline, deadline <= now else { continue }
            handle(.time, for: processes[place].id, at: now, into: &wishes)
        }
    }

    var nextDeadline: Instant? {
        var next = bgp.nextDeadline
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            next = next.map { min($0, deadline) } ?? deadline
        }
        consider(rtr.nextDeadline)
        for i in processes.indices { consider(processes[i].bgp.nextDeadline) }
        return next
    }

    // MARK: routes

    /// What processes other than the router's own decide is nobody else's business here.
    mutating func forgetForeignRoutes() {
        for place in processes.indices where processes[place].bgp.rib.hasRouteChanges {
            _ = processes[place].bgp.rib.takeIPv4Changes()
            _ = processes[place].bgp.rib.takeIPv6Changes()
        }
    }

    // MARK: connections

    /// With whom an instance speaks from now on.
    mutating func listen(_ id: StreamProtocolID, to list: [StreamEndpoint]) { endpoints[Int(id.value)] = list }

    /// Whose a connection is that a peer opened: who names our end itself comes first, and who names the peer before who names a
    /// range.
    func owner(of tuple: ConnectionTuple) -> ConnectionOwner? {
        var any: ConnectionOwner?
        var longest: (owner: ConnectionOwner, length: UInt8)?
        for number in endpoints.indices {
            for endpoint in endpoints[number] where endpoint.localPort != 0 && endpoint.localPort == tuple.localPort {
                let owner = ConnectionOwner(StreamProtocolID(UInt8(number)), endpoint.number)
                if let range = endpoint.range {
                    guard range.contains(tuple.remote), endpoint.local == nil || endpoint.local == tuple.local else { continue }
                    if longest.map({ $0.length < range.length }) ?? true { longest = (owner, range.length) }
                    continue
                }
                guard endpoint.remote == tuple.remote else { continue }
                if endpoint.local == tuple.local { return owner }
                if endpoint.local == nil, any == nil { any = owner }
            }
        }
        return any ?? longest?.owner
    }

    /// Everybody to whom connections lead, or from whom they are accepted: ascending, without duplicates.
    var destinations: [IPAddress] {
        var all: [IPAddress] = []
        let single = endpoints.joined().filter { $0.remoteLength == nil }
        for address in single.map(\.remote).sorted() where all.last != address { all.append(address) }
        return all
    }

    /// Those that are listened to, in the order of instances and of what each said.
    var listening: [(owner: ConnectionOwner, endpoint: StreamEndpoint)] {
        var all: [(owner: ConnectionOwner, endpoint: StreamEndpoint)] = []
        for number in endpoints.indices {
            for endpoint in endpoints[number] where endpoint.localPort != 0 {
                all.append((ConnectionOwner(StreamProtocolID(UInt8(number)), endpoint.number), endpoint))
            }
        }
        return all
    }

    // MARK: next hops

    mutating func track(_ address: IPAddress, for id: StreamProtocolID) {
        let place = trackerPlace(address)
        if place < trackers.count, trackers[place].address == address {
            trackers[place].instances |= 1 << id.value
        } else {
            trackers.insert(Tracker(address: address, instances: 1 << id.value), at: place)
        }
    }

    /// Whether nobody watches it any more.
    mutating func untrack(_ address: IPAddress, for id: StreamProtocolID) -> Bool {
        let place = trackerPlace(address)
        guard place < trackers.count, trackers[place].address == address else { return true }
        trackers[place].instances &= ~(1 << id.value)
        guard trackers[place].instances == 0 else { return false }
        trackers.remove(at: place)
        return true
    }

    /// Tells everybody of the next hops that he watches.
    mutating func tell(
        _ changes: [(address: IPAddress, state: NextHopState)], at now: Instant, into wishes: inout StreamWishes
    ) {
        let sets = changes.map { change -> UInt8 in
            let place = trackerPlace(change.address)
            return place < trackers.count && trackers[place].address == change.address ? trackers[place].instances : 0
        }
        for id in instances {
            let own = changes.indices.filter { sets[$0] & 1 << id.value != 0 }.map { changes[$0] }
            if !own.isEmpty { handle(.nextHops(own), for: id, at: now, into: &wishes) }
        }
    }

    private func trackerPlace(_ address: IPAddress) -> Int {
        trackers.sortedIndex { $0.address < address }
    }

    // MARK: digest and failure injection

    /// Of all BGP processes.
    var bgpDigest: StateDigest {
        var digest = bgp.digest
        for process in processes {
            digest.mix(UInt64(process.id.value))
            digest.mix(process.bgp.digest.value)
        }
        return digest
    }

    /// No part of the state; a copy of it in each instance, since a record is for one of them.
    mutating func setWatch(_ watch: PacketWatch) {
        self.watch = watch
        bgp.progress = watch.progress
        rtr.watch = watch
        for place in processes.indices { processes[place].bgp.progress = watch.progress }
    }

    /// The message that would have ended the process, if any would have.
    var metTrap: Int? { bgp.metTrap ?? rtr.metTrap ?? processes.lazy.compactMap(\.bgp.metTrap).first }
}

extension StreamProtocols {
    /// What is known of all of them. Each protocol has a section of its own.
    static let section = SnapshotSection(5, "streams", schemas: 1...2)

    func write(to writer: inout SnapshotWriter) {
        writer.section(Self.section) { w in
            w.write(seed)
            w.write(isRedundant)
            w.writeList(endpoints) { list, w in w.writeList(list) { endpoint, w in endpoint.write(to: &w) } }
            w.writeList(trackers) { tracker, w in
                tracker.address.write(to: &w)
                w.write(tracker.instances)
            }
        }
        writer.section(BGPInstance.section) { w in
            bgp.write(to: &w)
            w.writeList(processes) { process, w in
                w.write(process.id.value)
                process.bgp.write(to: &w)
            }
        }
        writer.section(RTRInstance.section) { rtr.write(to: &$0) }
    }

    init(from sections: SnapshotSections, configuration: RouterConfiguration) throws(SnapshotError) {
        (seed, isRedundant, endpoints, trackers) = try sections.read(Self.section) { r throws(DecodeError) in
            let seed: UInt64 = try r.read()
            let isRedundant = try r.readBool()
            let endpoints = try r.readList { r throws(DecodeError) in
                try r.readList { r throws(DecodeError) in try StreamEndpoint(from: &r) }
            }
            let trackers = try r.readList { r throws(DecodeError) in
                let address = try IPAddress(from: &r)
                return Tracker(address: address, instances: try r.read())
            }
            guard endpoints.count == Self.instancesMaximum,
                zip(trackers, trackers.dropFirst()).allSatisfy({ $0.address < $1.address })
            else { throw DecodeError("stream protocols", at: r.position, .badValue) }
            return (seed, isRedundant, endpoints, trackers)
        }
        (bgp, processes) = try sections.read(BGPInstance.section) { r throws(DecodeError) in
            let bgp = try BGPInstance(from: &r)
            let processes = try r.readList { r throws(DecodeError) in
                let id = StreamProtocolID(try r.read())
                return Process(id: id, bgp: try BGPInstance(from: &r))
            }
            guard processes.allSatisfy({ StreamProtocolID.processes.contains($0.id) }),
                zip(processes, processes.dropFirst()).allSatisfy({ $0.id < $1.id })
            else { throw DecodeError("BGP processes", at: r.position, .badValue) }
            return (bgp, processes)
        }
        rtr = try sections.read(RTRInstance.section) { r throws(DecodeError) in try RTRInstance(from: &r) }
        let own = configuration.interfaces.flatMap { $0.addresses.map(\.address) }
        bgp.rib.setOwnAddresses(own)
        for place in processes.indices { processes[place].bgp.rib.setOwnAddresses(own) }
        sharePayloads()
    }
}
