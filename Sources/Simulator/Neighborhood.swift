import BFD
import Machine
import Records
import Wire

/// Who is around the two controllers, at which port of which LAN, and how BFD watches them. It follows from the options and
/// the seed alone, so that another world with the same ones has the same neighbours.
///
/// Ports: 0 and 1 are the controllers' on the first LAN; then come the peers, the routed stations, the controllers' ports on
/// the second LAN, and on the first one more for a forger and for a third controller.
struct Neighborhood {
    /// Whose a port is. A controller's device 0 is on the first LAN, 1 on the second.
    enum Owner: Equatable {
        case controller(ControllerID, device: Int)
        case peer(Int)
        case routed(Int)
        case forger
        case intruder
    }

    let peerCount: Int
    let routedCount: Int
    let lanCount: Int
    let hasStrangers: Bool
    let bfd: BFDPlan?
    /// With two LANs the stations come in pairs that speak one protocol, one of them on each LAN.
    private let firstProtocol: Int

    init(_ options: SimulationOptions, peerCount: Int, seed: UInt64) {
        self.peerCount = peerCount
        routedCount = options.routedStationCount
        lanCount = options.hasSecondLAN ? 2 : 1
        hasStrangers = options.hasStrangers
        bfd = options.bfdInterval.map { BFDPlan(interval: $0, isAuthenticated: options.isBFDAuthenticated) }
        firstProtocol = options.hasSecondLAN ? Int(mix64(seed &+ 0x6c61_6e32) % UInt64(GatewayProtocol.allCases.count)) : 0
    }

    // MARK: places

    func lan(ofPeer number: Int) -> Int { number % lanCount }
    func lan(ofRouted number: Int) -> Int { number % lanCount }

    func place(ofRouted number: Int) -> StationPlace {
        let all = GatewayProtocol.allCases
        return StationPlace(
            gatewayProtocol: all[(lanCount == 1 ? number : firstProtocol + number / 2) % all.count],
            lan: lan(ofRouted: number), bfd: bfd)
    }
    func speaks(_ gatewayProtocol: GatewayProtocol) -> Bool {
        (0..<routedCount).contains { place(ofRouted: $0).gatewayProtocol == gatewayProtocol }
    }

    // MARK: ports

    func port(ofPeer number: Int) -> Int { 2 + number }
    func port(ofRouted number: Int) -> Int { 2 + peerCount + number }
    private var secondPort: Int { 2 + peerCount + routedCount }
    func port(of id: ControllerID, lan: Int) -> Int { (lan == 0 ? 0 : secondPort) + Int(id.rawValue) }
    func ports(of id: ControllerID) -> [Int] { (0..<lanCount).map { port(of: id, lan: $0) } }
    var forgerPort: Int { secondPort + (lanCount - 1) * 2 }
    var intruderPort: Int { forgerPort + 1 }

    /// The LAN of each port.
    var lans: [Int] {
        var list = [0, 0]
        list += (0..<peerCount).map { lan(ofPeer: $0) }
        list += (0..<routedCount).map { lan(ofRouted: $0) }
        if lanCount == 2 { list += [1, 1] }
        if hasStrangers { list += [0, 0] }
        return list
    }

    func owner(of port: Int) -> Owner {
        if port < 2 { return .controller(port == 0 ? .a : .b, device: 0) }
        if port < 2 + peerCount { return .peer(port - 2) }
        if port < secondPort { return .routed(port - 2 - peerCount) }
        if port < forgerPort { return .controller(port == secondPort ? .a : .b, device: 1) }
        return port == forgerPort ? .forger : .intruder
    }

    // MARK: addresses

    /// 198.18.0.1 on the first LAN, 198.18.2.1 on the second.
    static func routerAddress(lan: Int) -> IPv4Address { IPv4Address(raw: Simulation.routerAddress.raw + UInt32(lan) << 9) }
    static func routerIPv6Address(lan: Int) -> IPv6Address { lanIPv6Address(lan: lan, host: 1) }
    /// 2001:db8:0:LAN::/64
    static func lanIPv6Address(lan: Int, host: UInt64) -> IPv6Address {
        IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(lan), low: host)
    }
    func address(ofPeer number: Int) -> IPv4Address {
        Self.address(ofPeer: number, routerAddress: Self.routerAddress(lan: lan(ofPeer: number)))
    }
    static func address(ofPeer number: Int, routerAddress: IPv4Address) -> IPv4Address {
        IPv4Address(raw: routerAddress.raw + 10 + UInt32(number))
    }
    /// RFC 4291 §2.5.6 with an interface identifier by appendix A.
    static func linkLocal(of mac: MACAddress) -> IPv6Address {
        let high = (mac.raw >> 24) ^ 0x02_0000, low = mac.raw & 0xff_ffff
        return IPv6Address(high: 0xfe80_0000_0000_0000, low: high << 40 | 0xff_fe00_0000 | low)
    }
}

/// What a routed station speaks, and where.
struct StationPlace {
    var gatewayProtocol: GatewayProtocol
    var lan: Int
    var bfd: BFDPlan?
}

/// How every session of BFD in a world is run; three packets may be lost.
struct BFDPlan {
    /// Milliseconds.
    let interval: Int
    let isAuthenticated: Bool
    private static let multiplier: UInt8 = 3

    var detectionTime: Duration { .milliseconds(interval * Int(Self.multiplier)) }
    /// RFC 5880 §6.7.4.
    private var authentication: BFDAuthentication? {
        guard isAuthenticated else { return nil }
        return BFDAuthentication(
            type: .meticulousKeyedSHA1, chain: KeyChain(keys: [.init(id: 1, algorithm: .sha1, secret: "not a secret")]))
    }
    var configuration: BFDConfiguration {
        let microseconds = UInt32(interval * 1000)
        return BFDConfiguration(
            defaults: BFDProfile(
                desiredMinTx: microseconds, requiredMinRx: microseconds, multiplier: Self.multiplier,
                authentication: authentication))
    }
    var parameters: BFDSessionParameters {
        let microseconds = UInt32(interval * 1000)
        return BFDSessionParameters(
            desiredMinTx: microseconds, requiredMinRx: microseconds, multiplier: Self.multiplier, authentication: authentication)
    }
}
