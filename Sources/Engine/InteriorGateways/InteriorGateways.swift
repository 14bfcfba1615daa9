import ISIS
import Machine
import OSPF
import RIP
import Records
import Routing
import Wire

/// Which of the interior gateway protocols. The raw value is the order in which they are served.
enum InteriorGatewayID: UInt8, CaseIterable, Sendable {
    case ospf = 0
    /// OSPFv3 for IPv6.
    case ospfv3 = 1
    /// OSPFv3 for IPv4 (RFC 5838).
    case ospfv3IPv4 = 2
    case isis = 3
    case rip = 4
    case ripng = 5

    /// Under which name the routing table manager knows its routes.
    var routeProtocol: RouteProtocol {
        switch self {
        case .ospf: .ospf
        case .ospfv3, .ospfv3IPv4: .ospfv3
        case .isis: .isis
        case .rip: .rip
        case .ripng: .ripng
        }
    }

    /// Who gets the packets of a protocol. The two OSPFv3 instances tell theirs by the Instance ID (RFC 5340 §2.4).
    static func receivers(of packetProtocol: PacketProtocol) -> [InteriorGatewayID] {
        switch packetProtocol {
        case .ospfv2: [.ospf]
        case .ospfv3: [.ospfv3, .ospfv3IPv4]
        case .isis: [.isis]
        case .rip: [.rip]
        case .ripng: [.ripng]
        default: []
        }
    }

    /// Who announces the routes that are redistributed into a protocol.
    static func announcers(for target: RouteProtocol) -> [InteriorGatewayID] {
        allCases.filter { $0.routeProtocol == target }
    }
}

/// What every interior gateway protocol can be told alike.
enum InteriorGatewayNews {
    case interface(InterfaceID, isUp: Bool)
    case packet(ReceivedPacket)
    case redistribute([RedistributionUpdate])
    case bfd(BFDPeer, isUp: Bool)
    case fault(ReceivedPacket, message: Int)
    case redundancy(Bool)
    case clear(neighbor: String?)
    case time
}

/// What a protocol asked for, and which.
struct InteriorGatewayWish {
    var id: InteriorGatewayID
    var effect: InteriorGatewayEffect
}

/// The interior gateway protocols of the router, side by side. None knows another: what one has for another goes through
/// the routing table manager.
struct InteriorGateways: Sendable {
    var ospf: OSPFInstance
    var ospfv3: OSPFInstance
    var ospfv3IPv4: OSPFInstance
    var isis: ISISInstance
    var rip: RIPInstance
    var ripng: RIPInstance
    /// What each protocol subscribed to, by its number.
    var subscribed: [[PacketSubscription]] = InteriorGatewayID.allCases.map { _ in [] }
    /// By number, whether it was ever configured; one that was not has nothing to end.
    var isConfigured: [Bool] = InteriorGatewayID.allCases.map { _ in false }
    /// Whether the pair has a standby in lock step: for protocols that are configured later.
    private(set) var isRedundant = false
    /// By number: how often timers of the protocol were fatal, and until when it is stopped for that.
    var stops: [Stop] = InteriorGatewayID.allCases.map { _ in Stop() }
    /// Where it is noted whose timers run.
    private var progress = ProgressMark()

    struct Stop: Hashable, Sendable {
        var faults: UInt32 = 0
        var until: Instant?
    }

    init(random: inout RandomNumbers) {
        ospf = OSPFInstance(seed: random.next())
        ospfv3 = OSPFInstance(seed: random.next())
        ospfv3IPv4 = OSPFInstance(seed: random.next())
        isis = ISISInstance(seed: random.next())
        rip = RIPInstance(seed: random.next())
        ripng = RIPInstance(seed: random.next())
    }

    // MARK: inputs

    mutating func configure(_ configuration: RouterConfiguration, at now: Instant, into wishes: inout [InteriorGatewayWish]) {
        for id in InteriorGatewayID.allCases where !isStopped(id) { begin(id, configuration, at: now, into: &wishes) }
    }

    /// Gives one protocol what the configuration has for it.
    mutating func begin(
        _ id: InteriorGatewayID, _ configuration: RouterConfiguration, at now: Instant, into wishes: inout [InteriorGatewayWish]
    ) {
        let interfaces = configuration.interfaces, wasConfigured = isActive(id)
        switch id {
        case .ospf: Self.configure(id, &ospf, configuration.ospf, interfaces, &isConfigured, at: now, into: &wishes)
        case .ospfv3: Self.configure(id, &ospfv3, configuration.ospfv3, interfaces, &isConfigured, at: now, into: &wishes)
        case .ospfv3IPv4:
            Self.configure(id, &ospfv3IPv4, configuration.ospfv3ipv4, interfaces, &isConfigured, at: now, into: &wishes)
        case .isis: Self.configure(id, &isis, configuration.linkedISIS, interfaces, &isConfigured, at: now, into: &wishes)
        case .rip: Self.configure(id, &rip, configuration.rip, interfaces, &isConfigured, at: now, into: &wishes)
        case .ripng: Self.configure(id, &ripng, configuration.ripng, interfaces, &isConfigured, at: now, into: &wishes)
        }
        if !wasConfigured { handle(.redundancy(isRedundant), for: id, at: now, into: &wishes) }
    }

    private static func configure<Gateway: InteriorGateway>(
        _ id: InteriorGatewayID, _ gateway: inout Gateway, _ configuration: Gateway.Configuration?,
        _ interfaces: [InterfaceConfiguration], _ isConfigured: inout [Bool], at now: Instant,
        into wishes: inout [InteriorGatewayWish]
    ) {
        guard configuration != nil || isConfigured[Int(id.rawValue)] else { return }
        isConfigured[Int(id.rawValue)] = configuration != nil
        var effects: [InteriorGatewayEffect] = []
        gateway.handle(.configure(configuration, interfaces), at: now, into: &effects)
        for effect in effects { wishes.append(InteriorGatewayWish(id: id, effect: effect)) }
    }

    mutating func handle(
        _ news: InteriorGatewayNews, for id: InteriorGatewayID, at now: Instant, into wishes: inout [InteriorGatewayWish]
    ) {
        guard isConfigured[Int(id.rawValue)] else { return }
        switch id {
        case .ospf: Self.tell(&ospf, news, id, at: now, into: &wishes)
        case .ospfv3: Self.tell(&ospfv3, news, id, at: now, into: &wishes)
        case .ospfv3IPv4: Self.tell(&ospfv3IPv4, news, id, at: now, into: &wishes)
        case .isis: Self.tell(&isis, news, id, at: now, into: &wishes)
        case .rip: Self.tell(&rip, news, id, at: now, into: &wishes)
        case .ripng: Self.tell(&ripng, news, id, at: now, into: &wishes)
        }
    }

    private static func tell<Gateway: InteriorGateway>(
        _ gateway: inout Gateway, _ news: InteriorGatewayNews, _ id: InteriorGatewayID, at now: Instant,
        into wishes: inout [InteriorGatewayWish]
    ) {
        var effects: [InteriorGatewayEffect] = []
        switch news {
        case .interface(let interface, let isUp): gateway.handle(.interface(interface, isUp: isUp), at: now, into: &effects)
        case .packet(let packet): gateway.handle(.packet(packet), at: now, into: &effects)
        case .redistribute(let updates): gateway.handle(.redistribute(updates), at: now, into: &effects)
        case .bfd(let peer, let isUp): gateway.handle(.bfd(peer, isUp: isUp), at: now, into: &effects)
        case .fault(let packet, let message): gateway.handle(.fault(packet, message: message), at: now, into: &effects)
        case .redundancy(let isRedundant): gateway.handle(.redundancy(isRedundant), at: now, into: &effects)
        case .clear(let neighbor): gateway.handle(.clear(neighbor: neighbor), at: now, into: &effects)
        case .time: gateway.handle(.time, at: now, into: &effects)
        }
        for effect in effects { wishes.append(InteriorGatewayWish(id: id, effect: effect)) }
    }

    mutating func tellAll(_ news: InteriorGatewayNews, at now: Instant, into wishes: inout [InteriorGatewayWish]) {
        for id in InteriorGatewayID.allCases { handle(news, for: id, at: now, into: &wishes) }
    }

    /// The pair has a standby in lock step, or has none any more.
    mutating func noteRedundancy(_ isRedundant: Bool, at now: Instant, into wishes: inout [InteriorGatewayWish]) {
        if isRedundant != self.isRedundant {
            for i in stops.indices where stops[i].until != nil {
                stops[i].until = now + FatalMemory.hold(stops[i].faults, isRedundant)
            }
        }
        self.isRedundant = isRedundant
        tellAll(.redundancy(isRedundant), at: now, into: &wishes)
    }

    mutating func fireTimers(at now: Instant, into wishes: inout [InteriorGatewayWish]) {
        for id in InteriorGatewayID.allCases {
            guard let deadline = nextDeadline(of: id), deadline <= now else { continue }
            progress.note(UInt64(Poison.firstTimersMessage) | UInt64(id.rawValue))
            handle(.time, for: id, at: now, into: &wishes)
            progress.note(0)
        }
    }

    /// Whether the protocol is configured.
    func isActive(_ id: InteriorGatewayID) -> Bool { isConfigured[Int(id.rawValue)] }

    /// Whether any protocol is configured.
    var isAnyActive: Bool { isConfigured.contains(true) }

    /// Whether one that is configured has still to say what its neighbours had when they were found.
    var isConverging: Bool {
        InteriorGatewayID.allCases.contains { id in
            guard isConfigured[Int(id.rawValue)] else { return false }
            return switch id {
            case .ospf: ospf.isConverging
            case .ospfv3: ospfv3.isConverging
            case .ospfv3IPv4: ospfv3IPv4.isConverging
            case .isis: isis.isConverging
            case .rip: rip.isConverging
            case .ripng: ripng.isConverging
            }
        }
    }

    // MARK: time

    private func nextDeadline(of id: InteriorGatewayID) -> Instant? {
        guard isConfigured[Int(id.rawValue)] else { return nil }
        return switch id {
        case .ospf: ospf.nextDeadline
        case .ospfv3: ospfv3.nextDeadline
        case .ospfv3IPv4: ospfv3IPv4.nextDeadline
        case .isis: isis.nextDeadline
        case .rip: rip.nextDeadline
        case .ripng: ripng.nextDeadline
        }
    }

    var nextDeadline: Instant? {
        var next: Instant?
        for id in InteriorGatewayID.allCases {
            guard let deadline = nextDeadline(of: id) else { continue }
            next = next.map { min($0, deadline) } ?? deadline
        }
        for stop in stops {
            guard let until = stop.until else { continue }
            next = next.map { min($0, until) } ?? until
        }
        return next
    }

    // MARK: digests

    /// Of both versions, and of which protocols are stopped.
    var ospfDigest: StateDigest {
        var digest = ospf.digest
        for stop in stops { digest.mix(UInt64(stop.faults) << 32 ^ UInt64(bitPattern: stop.until?.nanoseconds ?? -1)) }
        digest.mix(ospfv3.digest.value)
        digest.mix(ospfv3IPv4.digest.value)
        return digest
    }

    /// Of both protocols.
    var ripDigest: StateDigest {
        var digest = rip.digest
        digest.mix(ripng.digest.value)
        return digest
    }

    // MARK: packet watch

    /// No part of the state; a copy of it in each protocol, since a record is for one of them.
    mutating func setWatch(_ watch: PacketWatch) {
        progress = watch.progress
        ospf.watch = watch
        ospfv3.watch = watch
        ospfv3IPv4.watch = watch
        isis.watch = watch
        rip.watch = watch
        ripng.watch = watch
    }

    /// The LSA or entry that would have ended the process, if any would have.
    var trapMessage: Int? {
        if ospf.watch.hasMetTrap { return ospf.watch.trapMessage }
        if ospfv3.watch.hasMetTrap { return ospfv3.watch.trapMessage }
        if ospfv3IPv4.watch.hasMetTrap { return ospfv3IPv4.watch.trapMessage }
        if isis.watch.hasMetTrap { return isis.watch.trapMessage }
        if rip.watch.hasMetTrap { return rip.watch.trapMessage }
        return ripng.watch.hasMetTrap ? ripng.watch.trapMessage : nil
    }

    // MARK: subscriptions

    /// Notes what a protocol wants from the wire; gives what the router wants then.
    mutating func subscribe(_ id: InteriorGatewayID, to list: [PacketSubscription]) { subscribed[Int(id.rawValue)] = list }

    /// What all of them want: ascending, each protocol of an interface once (the OSPFv3 instances share one).
    var subscriptions: [PacketSubscription] {
        var all = Array(subscribed.joined())
        all.sort()
        var result: [PacketSubscription] = []
        for subscription in all {
            guard let last = result.last, !(last < subscription) else {
                result.append(subscription)
                continue
            }
            result[result.count - 1].groups += subscription.groups.filter { !last.groups.contains($0) }
        }
        return result
    }
}

extension InteriorGateways {
    /// What is known of all of them. Each protocol has a section of its own.
    static let section = SnapshotSection(8, "interior", schemas: 1...1)

    func write(to writer: inout SnapshotWriter) {
        writer.section(Self.section) { w in
            w.writeList(isConfigured) { isConfigured, w in w.write(isConfigured) }
            w.write(isRedundant)
            w.writeList(stops) { $0.write(to: &$1) }
            w.writeList(subscribed) { list, w in
                w.writeList(list) { subscription, w in subscription.write(to: &w) }
            }
        }
        writer.section(OSPFInstance.section) { w in for instance in [ospf, ospfv3, ospfv3IPv4] { instance.write(to: &w) } }
        writer.section(ISISInstance.section) { isis.write(to: &$0) }
        writer.section(RIPInstance.section) { w in for instance in [rip, ripng] { instance.write(to: &w) } }
    }

    init(from sections: SnapshotSections) throws(SnapshotError) {
        (isConfigured, isRedundant, stops, subscribed) = try sections.read(Self.section) { r throws(DecodeError) in
            let isConfigured = try r.readList { r throws(DecodeError) in try r.readBool() }
            let isRedundant = try r.readBool()
            let stops = try r.readList { r throws(DecodeError) in try Stop(from: &r) }
            let subscribed = try r.readList { r throws(DecodeError) in
                try r.readList { r throws(DecodeError) in try PacketSubscription(from: &r) }
            }
            let count = InteriorGatewayID.allCases.count
            guard isConfigured.count == count, subscribed.count == count, stops.count == count
            else {
                throw DecodeError("interior gateway protocols", at: r.position, .badLength)
            }
            return (isConfigured, isRedundant, stops, subscribed)
        }
        (ospf, ospfv3, ospfv3IPv4) = try sections.read(OSPFInstance.section) { r throws(DecodeError) in
            (try OSPFInstance(from: &r), try OSPFInstance(from: &r), try OSPFInstance(from: &r))
        }
        isis = try sections.read(ISISInstance.section) { r throws(DecodeError) in try ISISInstance(from: &r) }
        (rip, ripng) = try sections.read(RIPInstance.section) { r throws(DecodeError) in
            (try RIPInstance(from: &r), try RIPInstance(from: &r))
        }
    }
}

extension InteriorGateways.Stop: Fielded {
    static var blank: Self { .init() }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&faults)
        try visitor.require(faults <= 1 << 16, "faults of timers")
        try visitor.field(&until)
    }
}
