import Machine
import Records
import Testing
import Wire

@testable import RIP

@Suite struct ViewTests {
    @Test func `neighbours, routes and interfaces as an operator sees them`() {
        let d = Driver {
            $0.defaultOriginate = RIPDefaultOriginate(always: true)
            $0.interfaces[1].authentication = KeyChain(firstSigns: [KeyChain.Key(id: 3, algorithm: .hmacSHA1, secret: "hidden")])
        }.begin()
        d.learn([("172.16.0.0/16", 3), ("172.17.0.0/16", 3), ("127.0.0.0/8", 1)], tag: 6)
        d.learn([("172.17.0.0/16", 16)])
        d.learn([("172.17.0.0/16", 1)], from: IPv4Address(10, 0, 1, 9), on: 1)
        let neighbors = d.instance.neighborViews(at: d.now)
        #expect(neighbors.map { "\($0.address) \($0.interface) \($0.routes) \($0.badRoutes)" } == ["10.0.0.2 eth0 1 1"])
        #expect(neighbors[0].silence == TimeSpan(.zero))
        let routes = d.instance.routeViews(limit: 100, at: d.now)
        #expect(
            routes.map { "\($0.prefix) \($0.kind) \($0.metric) \($0.tag)" }
                == [
                    "0.0.0.0/0 redistributed 1 0", "10.0.0.0/24 connected 1 0", "10.0.1.0/24 connected 1 0",
                    "172.16.0.0/16 learned 4 6", "172.17.0.0/16 garbage 16 0",
                ])
        #expect(routes[3].gateways.map { "\($0.address) \($0.interface)" } == ["10.0.0.2 eth0"])
        #expect(d.instance.routeViews(after: IPPrefix("10.0.0.0/24")!, limit: 1, at: d.now) == [routes[2]])
        #expect(d.instance.routeView(IPPrefix("172.16.0.0/16")!, at: d.now) == routes[3])
        let interfaces = d.instance.interfaceViews(at: d.now)
        #expect(interfaces.map(\.name) == ["eth0", "eth1"])
        #expect(interfaces[1].authentication == "HMAC-SHA-1 (key 3)")
        #expect(interfaces[1].dropped == [Counter("authentication missing", 1)])
        #expect(interfaces[0].neighbors == 1)
    }
}
