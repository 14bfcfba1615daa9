import Machine
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
    case fault(ReceivedPacket)
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
    /// What each protocol subscribed to, by its number.
    private var subscribed: [[PacketSubscription]] = InteriorGatewayID.allCases.map { _ in [] }
    /// By number, whether it was ever configured; one that was not has nothing to end.
    private var isConfigured: [Bool] = InteriorGatewayID.allCases.map { _ in false }

    init(random: inout RandomNumbers) {}

    // MARK: inputs

    mutating func configure(_ configuration: RouterConfiguration, at now: Instant, into wishes: inout [InteriorGatewayWish]) {
    }

    private mutating func configure<Gateway: InteriorGateway>(
        _ id: InteriorGatewayID, _ gateway: inout Gateway, _ configuration: Gateway.Configuration?,
        _ interfaces: [InterfaceConfiguration], at now: Instant, into wishes: inout [InteriorGatewayWish]
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
        case .fault(let packet): gateway.handle(.fault(packet), at: now, into: &effects)
        case .clear(let neighbor): gateway.handle(.clear(neighbor: neighbor), at: now, into: &effects)
        case .time: gateway.handle(.time, at: now, into: &effects)
        }
        for effect in effects { wishes.append(InteriorGatewayWish(id: id, effect: effect)) }
    }

    mutating func tellAll(_ news: InteriorGatewayNews, at now: Instant, into wishes: inout [InteriorGatewayWish]) {
        for id in InteriorGatewayID.allCases { handle(news, for: id, at: now, into: &wishes) }
    }

    mutating func fireTimers(at now: Instant, into wishes: inout [InteriorGatewayWish]) {
        for id in InteriorGatewayID.allCases {
            if let deadline = nextDeadline(of: id), deadline <= now { handle(.time, for: id, at: now, into: &wishes) }
        }
    }

    // MARK: time

    private func nextDeadline(of id: InteriorGatewayID) -> Instant? {
        guard isConfigured[Int(id.rawValue)] else { return nil }
        return nil
    }

    var nextDeadline: Instant? {
        var next: Instant?
        for id in InteriorGatewayID.allCases {
            guard let deadline = nextDeadline(of: id) else { continue }
            next = next.map { min($0, deadline) } ?? deadline
        }
        return next
    }

    // MARK: subscriptions

    /// Notes what a protocol wants from the wire; gives what the router wants then.
    mutating func subscribe(_ id: InteriorGatewayID, to list: [PacketSubscription]) { subscribed[Int(id.rawValue)] = list }

    /// What all of them want: ascending, without duplicates (the OSPFv3 instances share a protocol).
    var subscriptions: [PacketSubscription] {
        var all = Array(subscribed.joined())
        all.sort()
        var result: [PacketSubscription] = []
        for subscription in all where result.last != subscription { result.append(subscription) }
        return result
    }
}

extension InteriorGateways {
    func write(to writer: inout SnapshotWriter) {
        writer.writeList(isConfigured) { isConfigured, w in w.write(isConfigured) }
        writer.writeList(subscribed) { list, w in
            w.writeList(list) { subscription, w in
                w.write(subscription.interface.value)
                w.write(subscription.packetProtocol.rawValue)
            }
        }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        isConfigured = try reader.readList { r throws(DecodeError) in try r.readBool() }
        subscribed = try reader.readList { r throws(DecodeError) in
            try r.readList { r throws(DecodeError) in
                let interface = InterfaceID(try r.read())
                guard let number = PacketProtocol(rawValue: try r.read()) else {
                    throw DecodeError("packet protocol", at: r.position, .badValue)
                }
                return PacketSubscription(interface: interface, packetProtocol: number)
            }
        }
        let count = InteriorGatewayID.allCases.count
        guard isConfigured.count == count, subscribed.count == count else {
            throw DecodeError("interior gateway protocols", at: reader.position, .badLength)
        }
    }
}
