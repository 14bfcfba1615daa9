import Machine
import Records
import Routing
import Wire

@testable import BGP

/// The router with two neighbours played by hand: one that restarts, and one that watches what it is told meanwhile.
struct RestartWorld {
    var driver: Driver
    /// What the watching neighbour knows.
    var watcher = Receiver()
    private var watched = 0
    private static let watcherConnection: UInt32 = 1000

    /// What the restarting neighbour says of itself.
    struct Speaker {
        var isRestarting = false
        var time: UInt16 = 120
        var families: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]
        var forwarding: RouteFamilySet? = nil
        var hasNotification = false
        var hasCapability = true
        var longLived: [(RouteFamily, UInt32, Bool)]? = nil
        var identifier = "10.0.0.2"
        var enhancedRefresh = true
    }

    init(
        isHandedOver: Bool = false, watcherAS: UInt32 = 65003, watcherOpen: (inout OpenMessage) -> Void = { _ in },
        _ change: (inout BGPConfiguration) -> Void
    ) {
        driver = Driver { configuration in
            var second = configuration.neighbors[0]
            second.address = IPAddress("10.0.0.3")!
            second.remoteAS = ASNumber(watcherAS)
            configuration.neighbors.append(second)
            change(&configuration)
        }
        driver.isHandedOver = isHandedOver
        driver.give(
            .opened(
                ConnectionID(Self.watcherConnection), Driver.identity(IPAddress("10.0.0.3")!),
                SessionAddresses(ipv4: IPv4Address("10.0.0.1"), ipv6: IPv6Address("2001:db8::1")), StreamEndpointID(1),
                isOurs: false))
        let open = driver.open {
            $0.asField = UInt16(watcherAS)
            $0.capabilities.fourOctetAS = ASNumber(watcherAS)
            $0.identifier = RouterID("10.0.0.3")!
            $0.holdTime = 0
            watcherOpen(&$0)
        }
        driver.give(.received(ConnectionID(Self.watcherConnection), open))
        driver.give(.received(ConnectionID(Self.watcherConnection), Driver.keepalive))
    }

    init(isHandedOver: Bool = false) { self.init(isHandedOver: isHandedOver) { _ in } }

    /// A session of the neighbour, up to and with its KEEPALIVE.
    mutating func connect(_ id: UInt32, _ speaker: Speaker = Speaker()) {
        driver.accept(id)
        driver.receive(Self.open(driver, speaker))
        driver.receive(Driver.keepalive)
    }

    static func open(_ driver: Driver, _ speaker: Speaker) -> [UInt8] {
        driver.open {
            $0.identifier = RouterID(speaker.identifier)!
            $0.capabilities.enhancedRouteRefresh = speaker.enhancedRefresh
            guard speaker.hasCapability else { return }
            $0.capabilities.gracefulRestart = .init(
                isRestarting: speaker.isRestarting, time: speaker.time, families: speaker.families,
                forwarding: speaker.forwarding ?? speaker.families, hasNotification: speaker.hasNotification)
            guard let families = speaker.longLived else { return }
            var longLived = Capabilities.LongLivedGracefulRestart()
            for (family, time, isPreserved) in families { longLived.set(.init(family, time: time, isPreserved: isPreserved)) }
            $0.capabilities.longLivedGracefulRestart = longLived
        }
    }

    /// Announces 10.n.0.0/16.
    mutating func announce(_ numbers: ClosedRange<UInt8>, communities: [Community] = []) {
        let nlri = numbers.flatMap { [16, 10, $0] as [UInt8] }
        var attributes = Build.origin + Build.path4(65001) + Build.nextHop
        if !communities.isEmpty { attributes += Build.attribute(0xc0, 8, communities.flatMap { Build.u32($0.raw) }) }
        driver.receive(Build.message(2, Build.update(attributes: attributes, nlri: nlri)))
    }
    mutating func withdraw(_ numbers: ClosedRange<UInt8>) {
        driver.receive(Build.message(2, Build.update(withdrawn: numbers.flatMap { [16, 10, $0] as [UInt8] })))
    }
    /// End-of-RIB of IPv4, or of IPv6.
    mutating func endOfRIB(_ family: RouteFamily = .ipv4Unicast) {
        driver.receive(Build.message(2, family == .ipv4Unicast ? Build.update() : Build.update(attributes: Build.unreach6([]))))
    }
    mutating func refresh(_ subtype: RouteRefreshMessage.Subtype, _ family: RouteFamily = .ipv4Unicast) {
        driver.receive(RouteRefreshMessage(family, subtype).encoded)
    }

    /// The usual beginning: a session on connection 2 with 10.1…4.0.0/16, all said.
    mutating func begin(_ speaker: Speaker = Speaker()) {
        connect(2, speaker)
        announce(1...4)
        endOfRIB()
        endOfRIB(.ipv6Unicast)
        driver.wait(.milliseconds(100))
        clear()
    }
    /// What was said so far is of no interest any more.
    mutating func clear() {
        read()
        driver.effects = []
        watched = 0
    }
    mutating func lose(_ id: UInt32 = 2) {
        driver.give(.closed(ConnectionID(id), .resetByPeer))
        driver.wait(.milliseconds(50))
    }
    /// The pause after a failure is over, so that connections are accepted.
    mutating func pause(_ seconds: Int = 10) { driver.wait(.seconds(seconds)) }

    // MARK: looking

    /// The n of each 10.n.0.0/16 with a best route.
    var best: [Int] { (0...255).filter { route($0)?.paths.first?.isBest == true } }
    var stale: [Int] { (0...255).filter { route($0)?.paths.contains { $0.isStale } == true } }
    /// Of each that the watching neighbour was told and not told off.
    mutating func told() -> [Int] {
        read()
        return (0...255).filter { watcher.routes[Self.prefix($0)] != nil }
    }
    mutating func told(_ number: Int) -> RouteAttributes? {
        read()
        return watcher.routes[Self.prefix(number)]
    }
    func route(_ number: Int) -> RouteView? { driver.instance.rib.route(Self.prefix(number)) }
    static func prefix(_ number: Int) -> IPPrefix { .v4(IPv4Prefix(IPv4Address(10, UInt8(number), 0, 0), 16)) }

    /// UPDATEs to the watching neighbour since the last look.
    private mutating func read() {
        // What was said is acknowledged, so that nothing is held back.
        driver.give(.acknowledged(ConnectionID(Self.watcherConnection), offset: .max))
        driver.wait(.milliseconds(50))
        let effects = driver.effects
        for case .send(let id, let slice) in effects[watched...] where id == ConnectionID(Self.watcherConnection) {
            for message in Self.messages(Array(slice)) where message[18] == 2 { watcher.read(message[...]) }
        }
        watched = effects.count
    }

    static func messages(_ octets: [UInt8]) -> [[UInt8]] {
        var list: [[UInt8]] = []
        var at = 0
        while at + 19 <= octets.count {
            let length = Int(octets[at + 16]) << 8 | Int(octets[at + 17])
            list.append(Array(octets[at..<(at + length)]))
            at += length
        }
        return list
    }

    /// Families of the first address family, as the view has them.
    var family: BGPFamilyView { driver.detail.summary.families[0] }
    mutating func reconfigure(_ change: (inout BGPConfiguration) -> Void) {
        var configuration = driver.instance.configuration!
        change(&configuration)
        driver.give(.configure(configuration))
        driver.wait(.milliseconds(50))
    }
}
