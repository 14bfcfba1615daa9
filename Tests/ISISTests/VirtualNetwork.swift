import Machine
import Records
import Routing
import Wire
@testable import ISIS

/// Routers on virtual wires under virtual time. What one sends arrives at the others after a millisecond, in order,
/// unless the wire is cut or a filter takes it. Every router can be replaced by its own snapshot at any time.
final class VirtualNetwork {
    struct Port: Equatable {
        var router: Int
        var interface: Int
    }
    final class Wire {
        var ports: [Port] = []
        var isCut = false
    }
    final class Router {
        var machine: ISISInstance
        var configuration: ISISConfiguration
        var interfaces: [InterfaceConfiguration] = []
        var wires: [Int?] = []
        var routes: [IPPrefix: RouteOffer] = [:]
        var events: [String] = []
        var sent: [OutgoingPacket] = []
        var bfd: [String] = []
        var isOff = false
        var subscriptions: [PacketSubscription] = []

        init(machine: ISISInstance, configuration: ISISConfiguration) {
            self.machine = machine
            self.configuration = configuration
        }
    }
    private struct Delivery {
        var at: Instant
        var port: Port
        var packet: ReceivedPacket
    }

    private(set) var now = Instant.zero
    private(set) var routers: [Router] = []
    private(set) var wires: [Wire] = []
    private var deliveries: [Delivery] = []
    private var nextDelivery = 0
    /// Whether a packet from one port to another arrives.
    var passes: (Port, Port, OutgoingPacket) -> Bool = { _, _, _ in true }
    /// Sees every packet before it leaves.
    var witness: (Port, OutgoingPacket) -> Void = { _, _ in }
    /// Sees each step of a router after it.
    var observer: (Int, ISISInstance.Input, [InteriorGatewayEffect]) -> Void = { _, _, _ in }
    /// Replace the router by its snapshot before every n-th input, and compare. 0: never.
    var restoreEvery = 0
    private var inputs = 0
    private(set) var mismatches: [String] = []

    @discardableResult
    func add(
        _ id: UInt16, area: String = "49.0001", levels: ISISLevels = .level2,
        _ change: (inout ISISConfiguration) -> Void = { _ in }
    ) -> Int {
        var configuration = ISISConfiguration(
            systemID: SystemID(raw: 0x1921_6800_0000 | UInt64(id)), areaAddresses: [AreaAddress(area)!])
        configuration.levels = levels
        configuration.hostname = "r\(id)"
        change(&configuration)
        routers.append(Router(machine: ISISInstance(seed: UInt64(id) &* 77), configuration: configuration))
        return routers.count - 1
    }

    /// Joins routers by a wire; each gets an interface on it.
    @discardableResult
    func join(
        _ members: [Int], _ type: ISISNetworkType = .broadcast, mtu: UInt16 = 1500,
        _ change: (Int, inout ISISInterfaceConfiguration) -> Void = { _, _ in }
    ) -> Int {
        let wire = Wire()
        wires.append(wire)
        let number = wires.count
        for router in members {
            let index = routers[router].interfaces.count
            let low = UInt64(router + 1) << 8 | UInt64(index + 1)
            let address = IPv4Address(10, UInt8(number >> 8), UInt8(number & 255), UInt8(router & 127 + 1))
            routers[router].interfaces.append(
                InterfaceConfiguration(
                    name: "eth\(index)", virtualMAC: MACAddress(raw: 0x0200_0000_0000 | low), mtu: mtu,
                    addresses: [
                        .init(address: .v4(address), prefixLength: 24),
                        .init(
                            address: .v6(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(number), low: UInt64(router + 1))),
                            prefixLength: 64),
                    ]))
            var interface = ISISInterfaceConfiguration(interface: UInt16(index))
            interface.levels = routers[router].configuration.levels
            interface.networkType = type
            change(router, &interface)
            routers[router].configuration.interfaces.append(interface)
            routers[router].wires.append(number - 1)
            wire.ports.append(Port(router: router, interface: index))
        }
        return number - 1
    }

    func start() { for router in routers.indices { configure(router) } }

    func configure(_ router: Int) {
        input(router, .configure(routers[router].configuration, routers[router].interfaces))
    }

    /// Applies an input and puts what comes of it on the wires.
    func input(_ number: Int, _ input: ISISInstance.Input) {
        let router = routers[number]
        guard !router.isOff else { return }
        inputs += 1
        var effects: [InteriorGatewayEffect] = []
        if restoreEvery > 0, inputs % restoreEvery == 0 {
            var writer = SnapshotWriter()
            router.machine.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            do {
                var twin = try ISISInstance(from: &reader)
                try reader.expectEnd()
                if twin.digest != router.machine.digest { mismatches.append("digest of \(number) before \(inputs)") }
                var again = SnapshotWriter()
                twin.write(to: &again)
                if again.bytes != writer.bytes { mismatches.append("snapshot of \(number) before \(inputs)") }
                var others: [InteriorGatewayEffect] = []
                twin.handle(input, at: now, into: &others)
                router.machine.handle(input, at: now, into: &effects)
                if others.map(Self.text) != effects.map(Self.text) { mismatches.append("effects of \(number) at \(inputs)") }
                if twin.digest != router.machine.digest { mismatches.append("digest of \(number) after \(inputs)") }
                if twin.nextDeadline != router.machine.nextDeadline { mismatches.append("deadline of \(number)") }
                router.machine = twin
            } catch {
                mismatches.append("\(error)")
                return
            }
        } else {
            router.machine.handle(input, at: now, into: &effects)
        }
        for effect in effects {
            switch effect {
            case .send(let packet): send(packet, from: number)
            case .routes(let updates): for update in updates { router.routes[update.prefix] = update.offer }
            case .event(let event): router.events.append(event.message)
            case .bfd(let peer, let isWanted): router.bfd.append("\(isWanted ? "+" : "-")\(peer)")
            case .subscriptions(let list): router.subscriptions = list
            }
        }
        observer(number, input, effects)
    }

    static func text(_ effect: InteriorGatewayEffect) -> String { "\(effect)" }

    private func send(_ packet: OutgoingPacket, from number: Int) {
        let router = routers[number]
        let port = Port(router: number, interface: Int(packet.interface.value))
        witness(port, packet)
        router.sent.append(packet)
        guard port.interface < router.wires.count, let wire = router.wires[port.interface], !wires[wire].isCut else { return }
        for other in wires[wire].ports where other != port {
            guard passes(port, other, packet) else { continue }
            deliveries.append(
                Delivery(
                    at: now + .milliseconds(1), port: other,
                    packet: ReceivedPacket(
                        interface: InterfaceID(UInt16(other.interface)), packetProtocol: .isis, source: packet.source,
                        destination: packet.destination, bytes: packet.bytes)))
        }
    }

    /// Lets the time pass, event by event.
    func run(_ duration: Duration) {
        let end = now + duration
        while true {
            var next = nextDelivery < deliveries.count ? deliveries[nextDelivery].at : Instant.distantFuture
            for router in routers where !router.isOff {
                if let deadline = router.machine.nextDeadline { next = min(next, max(deadline, now)) }
            }
            guard next <= end else { break }
            now = next
            while nextDelivery < deliveries.count, deliveries[nextDelivery].at <= now {
                let delivery = deliveries[nextDelivery]
                nextDelivery += 1
                input(delivery.port.router, .packet(delivery.packet))
            }
            if nextDelivery > 4096 {
                deliveries.removeFirst(nextDelivery)
                nextDelivery = 0
            }
            for number in routers.indices where !routers[number].isOff {
                if let deadline = routers[number].machine.nextDeadline, deadline <= now { input(number, .time) }
            }
        }
        now = end
    }

    /// Hands a router a PDU as though a station on the wire had sent it.
    func inject(_ bytes: [UInt8], to port: Port, from station: MACAddress) {
        input(
            port.router,
            .packet(
                ReceivedPacket(
                    interface: InterfaceID(UInt16(port.interface)), packetProtocol: .isis, source: .station(station),
                    destination: .station(ISISGroup.level2), bytes: bytes)))
    }

    func station(_ router: Int, _ interface: Int = 0) -> MACAddress { routers[router].interfaces[interface].virtualMAC }
    func id(_ router: Int) -> SystemID { routers[router].configuration.systemID }
    func machine(_ router: Int) -> ISISInstance { routers[router].machine }

    func upNeighbors(_ router: Int, _ level: Level = .two) -> [SystemID] {
        machine(router).circuits.flatMap { circuit in
            circuit?.adjacencies.filter { $0.isUp(level) }.map(\.system) ?? []
        }
    }
    /// LSP IDs with sequence numbers, purges left out.
    func database(_ router: Int, _ level: Level = .two) -> [String] {
        let database = machine(router).databases[level.index]
        return (0..<database.count).compactMap { position in
            let entry = database.entries[database.slot(at: position)]
            return entry.isPurged || entry.isRequested ? nil : "\(entry.id)#\(entry.sequence)"
        }
    }
}

extension KeyChain.Algorithm {
    static let isis: [KeyChain.Algorithm] = [
        .clearText, .hmacMD5, .hmacSHA1, .hmacSHA224, .hmacSHA256, .hmacSHA384, .hmacSHA512,
    ]
}

extension ISISAuthentication {
    /// Of keys that are written in place.
    init(firstSigns keys: [KeyChain.Key]) { self.init(chain: KeyChain(firstSigns: keys)) }
    /// The one that signs.
    var key: KeyChain.Key? { chain.sendingKey(at: .zero) }
}
