import Engine
import ISIS
import LineCard
import Machine
import OSPF
import RIP
import Records
import Wire

/// A neighbour on the LAN that speaks an interior gateway protocol, and the routers behind it: each is a `SoloRouter`,
/// the real engine on the real line card. The first one is on the LAN; links between them carry frames at once or not at
/// all. How many there are and how they are linked follows from the seed alone, so that another world with the same seed
/// has the same topology.
final class RoutedStation {
    private final class Node {
        var router: SoloRouter
        var wakeUp: Instant?
        init(seed: UInt64) { router = SoloRouter(seed: seed) }
    }
    private enum Happening {
        case frame(router: Int, InterfaceID, [UInt8])
        case time(router: Int, Instant)
    }
    struct End {
        var router: Int
        var interface: InterfaceID
    }
    struct Link {
        var ends: (End, End)
        var isUp = true
    }

    let number: Int
    var gatewayProtocol: GatewayProtocol { plan.gatewayProtocol }
    private let plan: StationPlan
    private let seed: UInt64
    private var nodes: [Node] = []
    private(set) var links: [Link] = []
    private var queue = EventQueue<Happening>()
    /// Frames that left on the LAN in this turn.
    private var leaving: [[UInt8]] = []
    /// What the router on the LAN thinks of the simulated router.
    private(set) var isAdjacent = false
    private(set) var adjacencies = 0
    private(set) var losses = 0
    private var allowedLosses = 0
    private var revision: UInt64 = 1
    /// Whatever is lost now is no complaint, until `expectNoLoss`; so it begins where BFD watches.
    private var mayLose: Bool
    /// Whoever is held down on purpose is of no interest to BFD either.
    private var mayLoseWatch = false
    /// BFD's session with the router is up.
    private(set) var isWatched = false
    private(set) var restarts = 0
    /// What nobody may do to a neighbour.
    private(set) var violations: [String] = []

    static let linkDelay = Duration.microseconds(50)

    init(number: Int, routerCount: Int, seed: UInt64, place: StationPlace? = nil) {
        self.number = number
        self.seed = seed
        plan = StationPlan(number: number, routerCount: routerCount, seed: seed, place: place)
        mayLose = place?.bfd != nil
        for router in 0..<plan.routerCount { nodes.append(Node(seed: mix64(seed &+ UInt64(router)))) }
        for link in plan.links {
            links.append(
                Link(
                    ends: (
                        End(router: link.a, interface: plan.interface(of: link.a, on: link.number)),
                        End(router: link.b, interface: plan.interface(of: link.b, on: link.number))
                    )))
        }
    }

    var routerCount: Int { nodes.count }
    var nextDeadline: Instant? { queue.nextTime }

    // MARK: the turns of a station

    func start(at now: Instant) -> [[UInt8]] {
        for router in nodes.indices { carry(nodes[router].router.start(plan.encoded(router), at: now), from: router, at: now) }
        return turn(at: now)
    }

    func receive(_ frame: [UInt8], at now: Instant) -> [[UInt8]] {
        queue.schedule(.frame(router: 0, InterfaceID(0), frame), at: now)
        return turn(at: now)
    }

    func time(at now: Instant) -> [[UInt8]] { turn(at: now) }

    /// A link behind the station goes down or comes back; both ends see it.
    func setLink(_ number: Int, isUp: Bool, at now: Instant) -> [[UInt8]] {
        guard number < links.count, links[number].isUp != isUp else { return [] }
        links[number].isUp = isUp
        for end in [links[number].ends.0, links[number].ends.1] {
            carry(nodes[end.router].router.setLink(end.interface, isUp: isUp, at: now), from: end.router, at: now)
        }
        return turn(at: now)
    }

    /// Sends a packet to the simulated router that is fatal to an engine that looks into it. Our adjacency is the price.
    func sendPoison(at now: Instant) -> [[UInt8]] {
        allowedLosses += 1
        // What is fatal ends the adjacency, and with it BFD's interest.
        if plan.place.bfd != nil { mayLose = true }
        let packet = plan.poison(Checkers.packetPoisonMark)
        carry(nodes[0].router.send(packet, at: now), from: 0, at: now)
        return turn(at: now)
    }

    /// The adjacency is lost once, and with it the router's interest in BFD as often as it likes.
    func expectLoss() {
        allowedLosses += 1
        mayLoseWatch = true
    }
    /// What was expected is over.
    func expectNoMoreLosses() {
        allowedLosses = 0
        mayLoseWatch = false
    }
    /// The router is a neighbour in everything that the station has to do with it.
    var isSettled: Bool { isAdjacent && (isWatched || plan.place.bfd == nil) }

    /// Announces a route that is fatal to an engine that looks into it, in this form, and keeps it: it is said again as the
    /// protocol has it, older each time. 0: no longer.
    func keepPoison(form: UInt32, at now: Instant) -> [[UInt8]] {
        revision += 1
        let configuration = plan.encoded(0, poison: form)
        carry(nodes[0].router.configure(configuration, revision: revision, at: now), from: 0, at: now)
        return turn(at: now)
    }

    /// What an operator of the router does so that nothing is remembered of this station.
    var clearing: EngineCommand { .clearAdjacency(plan.packetProtocol, neighbor: plan.name) }

    /// As often as it happens, until `expectNoLoss`.
    func expectLosses() { mayLose = true }
    func expectNoLoss() {
        if isSettled { mayLose = false }
    }

    /// Its router on the LAN is started again and knows nothing; it had no time to tell anybody.
    func restart(at now: Instant) -> [[UInt8]] {
        restarts += 1
        mayLose = true
        nodes[0] = Node(seed: mix64(seed &+ UInt64(restarts) << 32))
        carry(nodes[0].router.start(plan.encoded(0), at: now), from: 0, at: now)
        for link in links.indices where !links[link].isUp {
            for end in [links[link].ends.0, links[link].ends.1] where end.router == 0 {
                carry(nodes[0].router.setLink(end.interface, isUp: false, at: now), from: 0, at: now)
            }
        }
        return turn(at: now)
    }

    private func turn(at now: Instant) -> [[UInt8]] {
        while let next = queue.nextTime, next <= now, let (_, happening) = queue.pop() {
            switch happening {
            case .frame(let router, let interface, let octets):
                carry(nodes[router].router.receive(octets, on: interface, at: now), from: router, at: now)
            case .time(let router, let time):
                guard nodes[router].wakeUp == time else { continue }
                nodes[router].wakeUp = nil
                carry(nodes[router].router.time(at: now), from: router, at: now)
            }
        }
        look(at: now)
        defer { leaving = [] }
        return leaving
    }

    private func carry(_ frames: [SoloRouter.Frame], from router: Int, at now: Instant) {
        for frame in frames {
            if router == 0, frame.interface == InterfaceID(0) {
                leaving.append(frame.octets)
                continue
            }
            guard let link = plan.link(of: router, at: frame.interface), links[link].isUp else { continue }
            let (a, b) = links[link].ends
            let other = a.router == router ? b : a
            queue.schedule(.frame(router: other.router, other.interface, frame.octets), at: now + Self.linkDelay)
        }
        guard let next = nodes[router].router.nextDeadline else { return }
        let time = max(next, now)
        if let planned = nodes[router].wakeUp, planned <= time { return }
        nodes[router].wakeUp = time
        queue.schedule(.time(router: router, time), at: time)
    }

    // MARK: what it sees

    private func look(at now: Instant) {
        if plan.place.bfd != nil { lookAtWatch() }
        let isNow = seesRouter(at: now)
        guard isNow != isAdjacent else { return }
        isAdjacent = isNow
        if isNow {
            adjacencies += 1
            return
        }
        losses += 1
        if allowedLosses > 0 {
            allowedLosses -= 1
        } else if !mayLose {
            violations.append("station \(number) lost its \(gatewayProtocol) adjacency with the router")
        }
    }

    private func lookAtWatch() {
        let addresses: [IPAddress] = [
            .v4(Neighborhood.routerAddress(lan: plan.place.lan)), .v6(Neighborhood.linkLocal(of: Simulation.routerMAC)),
        ]
        let isNow = nodes[0].router.bfdSessions.contains {
            $0.session.peer.interface == InterfaceID(0) && addresses.contains($0.session.peer.remote) && $0.isUp == true
        }
        guard isNow != isWatched else { return }
        isWatched = isNow
        if !isNow, !mayLose, !mayLoseWatch {
            violations.append("station \(number) lost its BFD session with the router")
        }
    }

    private func seesRouter(at now: Instant) -> Bool {
        let routerAddress = Neighborhood.routerAddress(lan: plan.place.lan)
        switch gatewayProtocol {
        case .ospf:
            return nodes[0].router.ospf.neighborViews(at: now).contains {
                $0.address == .v4(routerAddress) && $0.state == .full
            }
        case .ospfv3:
            return nodes[0].router.ospfv3.neighborViews(at: now).contains {
                $0.routerID == Simulation.routerAddress && $0.state == .full
            }
        case .isis:
            return nodes[0].router.isis.adjacencyViews(at: now).contains {
                $0.station == Simulation.routerMAC && $0.state == .up
            }
        case .rip:
            return nodes[0].router.rip.neighborViews(at: now).contains { $0.address == .v4(routerAddress) && $0.routes > 0 }
        case .ripng:
            return nodes[0].router.ripng.neighborViews(at: now).contains {
                $0.address == .v6(Neighborhood.linkLocal(of: Simulation.routerMAC)) && $0.routes > 0
            }
        }
    }

    /// The routes of interior protocols at one of the routers.
    func routes(of router: Int) -> [String] { nodes[router].router.interiorRoutes }
}

/// What a station speaks.
enum GatewayProtocol: Int, CaseIterable, CustomStringConvertible {
    case ospf = 0
    case isis = 1
    case rip = 2
    case ospfv3 = 3
    case ripng = 4
    var description: String {
        switch self {
        case .ospf: "OSPF"
        case .isis: "IS-IS"
        case .rip: "RIP"
        case .ospfv3: "OSPFv3"
        case .ripng: "RIPng"
        }
    }
}
