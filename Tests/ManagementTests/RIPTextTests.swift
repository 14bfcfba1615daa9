import Records
import Testing
import Wire

@testable import Management
@testable import RIP

@Suite struct RIPViewTests {
    @Test func `neighbours and routes of RIP as an operator reads them`() {
        var view = RIPView(name: "rip", isConfigured: true)
        view.neighbors = [
            RIPNeighborView(
                address: IPAddress("198.18.0.7")!, interface: "lan", version: 2, age: TimeSpan(.seconds(3700)),
                silence: TimeSpan(.seconds(12)), routes: 5, responses: 80, badPackets: 0, badRoutes: 0, bfd: "up",
                isIgnored: false)
        ]
        #expect(
            view.lines == [
                "Neighbor    Interface  Version     Known     Heard  Routes  Responses  BadPackets  BadRoutes  BFD",
                "198.18.0.7  lan              2  01:01:40  00:00:12       5         80           0          0  up", "",
                "1 neighbor",
            ])
        view.neighbors = nil
        func gateway(_ text: String, _ seconds: Int) -> RIPRouteView.Gateway {
            let address = IPAddress(text)!
            return .init(address: address, interface: "lan", neighbor: address, timeout: TimeSpan(.seconds(seconds)))
        }
        view.routes = RIPRoutesView(
            total: 2,
            routes: [
                .init(
                    prefix: IPPrefix("10.0.0.0/8")!, kind: .learned, metric: 3, tag: 7,
                    gateways: [gateway("198.18.0.7", 170), gateway("198.18.0.8", 150)]),
                .init(prefix: IPPrefix("198.18.0.0/24")!, kind: .connected, metric: 1, tag: 0, gateways: []),
            ])
        #expect(
            view.lines == [
                "Prefix         Metric  Tag  Kind       Gateway     Interface      Time",
                "10.0.0.0/8          3    7  learned    198.18.0.7  lan        00:02:50",
                "                                       198.18.0.8  lan        00:02:30",
                "198.18.0.0/24       1    0  connected", "", "2 destinations",
            ])
        #expect(RIPView(name: "ripng", isConfigured: false).lines == ["RIPng is not configured"])
    }

    @Test func `an interface of RIP tells why packets were dropped`() {
        let entry = RIPInterfaceView(
            name: "lan", isUp: true, isPassive: false, splitHorizon: "poisoned reverse", metric: 1, metricOffset: 0, send: "2",
            receive: "2", authentication: "none", neighbors: 1, nextUpdate: TimeSpan(.seconds(5)), requestsReceived: 0,
            responsesReceived: 3, packetsSent: 2, regularUpdates: 1, triggeredUpdates: 1,
            dropped: [Counter("authentication failed", 4)])
        #expect(
            entry.lines == [
                "lan is up, 1 neighbor", "  metric 1, split horizon poisoned reverse",
                "  sends version 2, hears version 2, authentication none", "  next update in 5 s",
                "  sent 2 packets: 1 regular and 1 triggered updates", "  received 3 responses, 0 requests",
                "  dropped 4: authentication failed",
            ])
    }
}
