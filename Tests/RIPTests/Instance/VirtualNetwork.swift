import Machine
import Records
import Routing
import Wire

@testable import RIP

/// Several routers and the links between them, under virtual time. Everything that is sent arrives a millisecond later,
/// in the order in which it was sent.
final class VirtualNetwork {
    struct Port: Hashable {
        var router: Int
        var interface: UInt16
    }
    private struct Flight {
        var at: Instant
        var to: Port
        var packet: ReceivedPacket
    }

    let version: RIPVersion
    private(set) var now = Instant.zero
    var routers: [RIPInstance] = []
    private(set) var lists: [[InterfaceConfiguration]] = []
    var configurations: [RIPConfiguration] = []
    /// Ports of each link, and whether it carries anything.
    private var links: [[Port]] = []
    private var isCut: [Bool] = []
    private var flights: [Flight] = []
    /// What each router's routing table manager holds.
    private(set) var offers: [[IPPrefix: RouteOffer]] = []
    var packetCount = 0
    /// Called for each router before an input.
    var beforeInput: ((Int) -> Void)?

    init(_ version: RIPVersion = .v2) { self.version = version }

    /// A router with a network of its own behind `stub` (192.168.n.0/24), and its number.
    func addRouter() -> Int {
        let number = routers.count
        routers.append(RIPInstance(seed: UInt64(number + 1)))
        configurations.append(RIPConfiguration(version: version))
        lists.append([])
        offers.append([:])
        addInterface(number, address: 1, network: 10_000 + number)
        return number
    }

    private func addInterface(_ router: Int, address: UInt8, network: Int) {
        let name = "if\(lists[router].count)"
        let settings: [InterfaceConfiguration.Address]
        switch version {
        case .v2:
            let base: UInt32 =
                network >= 10_000
                ? 0xc0a8_0000 | UInt32(network - 10_000) << 8 : 0x0a00_0000 | UInt32(network) << 8
            settings = [.init(address: .v4(IPv4Address(raw: base | UInt32(address))), prefixLength: 24)]
        case .ng:
            settings = [
                .init(
                    address: .v6(IPv6Address(high: 0xfe80 << 48, low: UInt64(network) << 8 | UInt64(address))),
                    prefixLength: 64),
                .init(
                    address: .v6(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(network), low: UInt64(address))),
                    prefixLength: 64),
            ]
        }
        lists[router].append(
            InterfaceConfiguration(name: name, virtualMAC: MACAddress(raw: 1), addresses: settings))
        configurations[router].interfaces.append(RIPInterfaceConfiguration(name: name))
    }

    /// A link with these routers on it, and its number.
    func addLink(_ members: [Int]) -> Int {
        let number = links.count
        var ports: [Port] = []
        for (i, router) in members.enumerated() {
            ports.append(Port(router: router, interface: UInt16(lists[router].count)))
            addInterface(router, address: UInt8(i + 1), network: number)
        }
        links.append(ports)
        isCut.append(false)
        return number
    }

    func start() {
        for i in routers.indices { input(i, .configure(configurations[i], lists[i])) }
    }

    /// The stub network of a router.
    func stub(_ router: Int) -> IPPrefix {
        version == .v2
            ? .v4(IPv4Prefix(IPv4Address(raw: 0xc0a8_0000 | UInt32(router) << 8), 24))
            : .v6(IPv6Prefix(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(10_000 + router), low: 0), 64))
    }

    /// What arrives is lost from here on; nobody sees the link go.
    func cut(_ link: Int) { isCut[link] = true }
    func mend(_ link: Int) { isCut[link] = false }
    /// All its interfaces go down or up.
    func setLink(_ link: Int, isUp: Bool) {
        isCut[link] = !isUp
        for port in links[link] { input(port.router, .interface(InterfaceID(port.interface), isUp: isUp)) }
    }

    func input(_ router: Int, _ input: RIPInstance.Input) {
        beforeInput?(router)
        var effects: [InteriorGatewayEffect] = []
        routers[router].handle(input, at: now, into: &effects)
        for effect in effects {
            switch effect {
            case .routes(let updates): for update in updates { offers[router][update.prefix] = update.offer }
            case .send(let packet): send(packet, from: router)
            default: break
            }
        }
    }

    private func send(_ packet: OutgoingPacket, from router: Int) {
        packetCount += 1
        let port = Port(router: router, interface: packet.interface.value)
        guard let link = links.firstIndex(where: { $0.contains(port) }), !isCut[link] else { return }
        for other in links[link] where other != port {
            if case .ip(let address) = packet.destination, address != RIPInstance.groupIPv4,
                address != RIPInstance.groupIPv6,
                !lists[other.router][Int(other.interface)].addresses.contains(where: { $0.address == address })
            {
                continue
            }
            flights.append(
                Flight(
                    at: now + .milliseconds(1), to: other,
                    packet: ReceivedPacket(
                        interface: InterfaceID(other.interface), packetProtocol: packet.packetProtocol,
                        source: packet.source, destination: packet.destination, sourcePort: version.port,
                        hopLimit: packet.hopLimit, bytes: packet.bytes)))
        }
    }

    func run(_ duration: Duration) {
        let end = now + duration
        while true {
            var next = flights.first?.at
            for router in routers {
                guard let deadline = router.nextDeadline else { continue }
                next = next.map { min($0, deadline) } ?? deadline
            }
            guard let next, next <= end else { break }
            now = max(now, next)
            while let flight = flights.first, flight.at <= now {
                flights.removeFirst()
                input(flight.to.router, .packet(flight.packet))
            }
            for i in routers.indices where routers[i].nextDeadline.map({ $0 <= now }) ?? false { input(i, .time) }
        }
        now = end
    }

    /// Metric of the way from one router to the stub of another; `nil` without a way.
    func metric(_ router: Int, to other: Int) -> UInt32? { offers[router][stub(other)]?.metric }

    /// By how many links, at least, with those that are not cut; the oracle.
    func hops(_ router: Int, to other: Int) -> UInt32? {
        var distance: [Int: UInt32] = [router: 0]
        var queue = [router]
        while !queue.isEmpty {
            let next = queue.removeFirst()
            if next == other { return distance[next] }
            for (link, ports) in links.enumerated() where !isCut[link] && ports.contains(where: { $0.router == next }) {
                for port in ports where distance[port.router] == nil {
                    distance[port.router] = distance[next]! + 1
                    queue.append(port.router)
                }
            }
        }
        return nil
    }

    /// Pairs of routers whose route is not the shortest way; 15 links are as far as RIP sees.
    var mistakes: [String] {
        var found: [String] = []
        for a in routers.indices {
            for b in routers.indices where a != b {
                let right = hops(a, to: b).map { $0 + 1 }.flatMap { $0 < 16 ? $0 : nil }
                if metric(a, to: b) != right {
                    found.append("\(a) to \(b): \(metric(a, to: b) ?? 0) instead of \(right ?? 0)")
                }
            }
        }
        return found
    }
}
