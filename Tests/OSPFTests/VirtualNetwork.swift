import Machine
import Records
import Routing
import Wire

@testable import OSPF

/// Routers on LANs and point-to-point links under virtual time: nothing waits, and every run is the same.
final class VirtualNetwork {
    struct Attachment {
        var router: Int
        var interface: InterfaceID
    }
    struct Segment {
        var members: [Attachment] = []
        var isCut = false
        var network: OSPFNetworkType
    }
    struct Frame {
        var time: Instant
        var serial: Int
        var segment: Int
        var from: Int
        var packet: OutgoingPacket
    }

    var now = Instant.zero
    var routers: [OSPFInstance] = []
    var configurations: [OSPFConfiguration] = []
    var devices: [[InterfaceConfiguration]] = []
    var segments: [Segment] = []
    /// `nil` while the router is off.
    var isAlive: [Bool] = []
    var frames: [Frame] = []
    var serial = 0
    var delay = Duration.milliseconds(1)
    /// Whether a frame is lost.
    var loses: (Frame) -> Bool = { _ in false }
    /// Every input that a router got, for runs that are repeated.
    var inputs: [[(time: Instant, input: OSPFInstance.Input)]] = []
    var effects: [[InteriorGatewayEffect]] = []
    var routes: [[IPPrefix: RouteOffer]] = []
    var events: [String] = []
    /// Sees each step of a router after it.
    var observer: (Int, OSPFInstance.Input, [InteriorGatewayEffect]) -> Void = { _, _, _ in }
    var packetsSent = 0
    let version: OSPFVersion
    let family: AddressFamily

    init(version: OSPFVersion = .v2, family: AddressFamily? = nil) {
        self.version = version
        self.family = family ?? (version == .v2 ? .ipv4 : .ipv6)
    }

    /// A router whose Router ID is 10.255.0.n, n counted from 1.
    @discardableResult
    func addRouter(_ change: (inout OSPFConfiguration) -> Void = { _ in }) -> Int {
        let n = routers.count
        var configuration = OSPFConfiguration(
            version: version, family: family, instanceID: version == .v3 && family == .ipv4 ? 64 : 0,
            routerID: IPv4Address(10, 255, UInt8(n / 250), UInt8(n % 250 + 1)))
        change(&configuration)
        routers.append(OSPFInstance(seed: UInt64(n + 1) &* 0x9e37_79b9))
        configurations.append(configuration)
        devices.append([])
        isAlive.append(true)
        inputs.append([])
        effects.append([])
        routes.append([:])
        return n
    }

    /// Joins routers by a segment of its own network, 10.s.t.0/24 or 2001:db8:s::/64.
    @discardableResult
    func connect(
        _ members: [Int], network: OSPFNetworkType = .broadcast, area: IPv4Address = .any,
        _ change: (Int, inout OSPFInterfaceConfiguration) -> Void = { _, _ in }
    ) -> Int {
        let s = segments.count
        var segment = Segment(network: network)
        for router in members {
            let id = devices[router].count
            let host = UInt8(router % 250 + 1)
            var addresses = [
                InterfaceConfiguration.Address(
                    address: .v4(IPv4Address(10, UInt8(s / 250), UInt8(s % 250), host)), prefixLength: 24)
            ]
            if version == .v3 {
                addresses.append(
                    .init(
                        address: .v6(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(s + 1), low: UInt64(router + 1))),
                        prefixLength: 64))
            }
            devices[router].append(
                InterfaceConfiguration(
                    name: "eth\(id)", virtualMAC: MACAddress(raw: 0x0200_0000_0000 | UInt64(router + 1) << 8 | UInt64(id)),
                    addresses: addresses))
            var interface = OSPFInterfaceConfiguration(name: "eth\(id)", areaID: area, network: network)
            change(router, &interface)
            configurations[router].interfaces.append(interface)
            segment.members.append(Attachment(router: router, interface: InterfaceID(UInt16(id))))
        }
        segments.append(segment)
        return s
    }

    func start(_ which: [Int]? = nil) {
        for router in which ?? Array(routers.indices) { give(router, .configure(configurations[router], devices[router])) }
    }

    func give(_ router: Int, _ input: OSPFInstance.Input) {
        guard isAlive[router] else { return }
        inputs[router].append((now, input))
        var output: [InteriorGatewayEffect] = []
        routers[router].handle(input, at: now, into: &output)
        for effect in output {
            switch effect {
            case .send(let packet): transmit(packet, from: router)
            case .routes(let updates): for update in updates { routes[router][update.prefix] = update.offer }
            case .event(let event): events.append("\(now) \(configurations[router].routerID) \(event)")
            case .subscriptions, .bfd: break
            }
        }
        effects[router].append(contentsOf: output)
        observer(router, input, output)
    }

    private func transmit(_ packet: OutgoingPacket, from router: Int) {
        packetsSent += 1
        guard
            let s = segments.firstIndex(where: { $0.members.contains { $0.router == router && $0.interface == packet.interface } }
            )
        else { return }
        serial += 1
        let frame = Frame(time: now + delay, serial: serial, segment: s, from: router, packet: packet)
        if !segments[s].isCut, !loses(frame) { frames.append(frame) }
    }

    private func deliver(_ frame: Frame) {
        for member in segments[frame.segment].members where member.router != frame.from {
            guard let destination = frame.packet.destination.ip else { continue }
            let isGroup: Bool
            switch destination {
            case .v4(let address): isGroup = address.isMulticast
            case .v6(let address): isGroup = address.isMulticast
            }
            let interface = routers[member.router].interface(member.interface)
            let isOurs =
                devices[member.router][Int(member.interface.value)].addresses.contains { $0.address == destination }
                || interface.map { .v6($0.linkLocal) == destination } == true
            guard isGroup || isOurs else { continue }
            give(
                member.router,
                .packet(
                    ReceivedPacket(
                        interface: member.interface, packetProtocol: frame.packet.packetProtocol, source: frame.packet.source,
                        destination: frame.packet.destination, hopLimit: frame.packet.hopLimit, bytes: frame.packet.bytes)))
        }
    }

    /// Lets time pass: everything that is due in it happens in order.
    func run(_ duration: Duration) {
        let end = now + duration
        var head = 0
        while true {
            var next = end
            if head < frames.count { next = min(next, frames[head].time) }
            for (i, router) in routers.enumerated() where isAlive[i] {
                if let deadline = router.nextDeadline { next = min(next, deadline) }
            }
            now = max(now, next)
            var acted = false
            while head < frames.count, frames[head].time <= now {
                let frame = frames[head]
                head += 1
                acted = true
                if !segments[frame.segment].isCut { deliver(frame) }
            }
            for i in routers.indices where isAlive[i] {
                if let deadline = routers[i].nextDeadline, deadline <= now {
                    give(i, .time)
                    acted = true
                }
            }
            if head > 4096 {
                frames.removeFirst(head)
                head = 0
            }
            if !acted, now >= end { break }
        }
        frames.removeFirst(head)
    }

    // MARK: what one looks at

    func states(of router: Int) -> [OSPFNeighborState] {
        routers[router].interfaces.flatMap { interface in
            (interface?.neighbors ?? []).compactMap { self.routers[router].neighbor($0)?.state }
        }
    }
    func neighbor(of router: Int, _ other: Int) -> OSPFNeighbor? {
        routers[router].neighbors.compactMap { $0 }.first { $0.routerID == configurations[other].routerID.raw }
    }
    /// Every neighbour that should be Full is: on a LAN, those that one of the two is DR or Backup of.
    var isConverged: Bool {
        for (i, router) in routers.enumerated() where isAlive[i] {
            for neighbor in router.neighbors.compactMap({ $0 }) where neighbor.state != .full {
                if neighbor.state == .twoWay, !router.wantsAdjacency(with: neighbor) { continue }
                return false
            }
        }
        return true
    }
    /// The LSAs of a database: key, sequence and checksum.
    func contents(_ router: Int, _ id: DatabaseID) -> [String] {
        var lines: [String] = []
        routers[router].database.walk(id) { _, entry in
            lines.append("\(entry.lsa.key) \(entry.lsa.header.sequence) \(entry.lsa.header.checksum)")
            return true
        }
        return lines
    }
    /// Whether all routers in an area hold the same.
    func agree(on id: DatabaseID) -> Bool {
        let with = routers.indices.filter { r in
            isAlive[r] && (id.scope != .area || routers[r].interfaces.contains { $0?.areaID == id.number })
        }
        guard let first = with.first else { return true }
        let reference = contents(first, id)
        return with.allSatisfy { contents($0, id) == reference }
    }
    func lanState(_ router: Int, _ interface: UInt16 = 0) -> OSPFInterfaceState? {
        routers[router].interface(InterfaceID(interface))?.state
    }
}

extension KeyChain.Algorithm {
    /// What both versions sign with, beside the password of version 2.
    static let ospf: [KeyChain.Algorithm] = [.md5, .hmacSHA1, .hmacSHA256, .hmacSHA384, .hmacSHA512]
}
