import Records
import Testing
import Wire

@testable import Management
@testable import OSPF

@Suite struct OSPFTextTests {
    static let neighbor = OSPFNeighborView(
        routerID: IPv4Address(10, 0, 0, 2), address: IPAddress("192.0.2.2")!, interface: "lan", area: .any, state: .full,
        role: "DR", priority: 1, stateAge: TimeSpan(.seconds(3661)), deadTime: TimeSpan(.seconds(38)), bfd: "up",
        retransmissions: 0, requests: 0, stateChanges: 6, lastReason: "LoadingDone")

    /// Something of everything, for the codec.
    static var view: OSPFView {
        var view = OSPFView(isConfigured: true)
        view.neighbors = [neighbor]
        view.summary = .init(
            version: 2, family: "IPv4", routerID: IPv4Address(10, 0, 0, 1), isBorderRouter: true, isStubRouter: false,
            areas: [.init(id: .any, kind: "normal", interfaces: 2, fullNeighbors: 1, lsas: 7)], externalLSAs: 0, routes: 0,
            calculations: 0)
        view.interfaces = [
            .init(
                name: "lan", area: .any, network: .broadcast, state: .backup, isPassive: false, address: IPAddress("192.0.2.1")!,
                cost: 10, priority: 1, designatedRouter: IPv4Address(10, 0, 0, 2),
                backupDesignatedRouter: IPv4Address(10, 0, 0, 1), helloDue: TimeSpan(.seconds(3)), neighbors: 1,
                fullNeighbors: 1, received: [Counter("Hello", 9)], sent: [], dropped: [Counter("area mismatch", 2)])
        ]
        view.lsas = [
            .init(
                database: "area 0.0.0.0", type: "router", linkStateID: IPv4Address(10, 0, 0, 1),
                advertisingRouter: IPv4Address(10, 0, 0, 1), age: 5, sequence: "0x80000001", checksum: "0xbeef", length: 48,
                isOwn: true,
                contents: ["stub network 10.1.0.0/16 metric 10"])
        ]
        view.routes = [
            .init(
                prefix: IPPrefix("10.2.0.0/16")!, kind: "external type 2", area: .any, cost: 20, type2Cost: 5, tag: 7,
                advertisingRouter: IPv4Address(10, 0, 0, 2), nextHops: ["192.0.2.2 lan"])
        ]
        view.spf = .init(
            runs: [.init(age: TimeSpan(.seconds(4)), delay: TimeSpan(.milliseconds(50)), changes: 1, routes: 2)],
            routers: [
                .init(
                    area: .any, routerID: IPv4Address(10, 0, 0, 2), distance: 10, isBorderRouter: true, isBoundaryRouter: false)
            ])
        return view
    }

    private func only(_ keep: (inout OSPFView, OSPFView) -> Void) -> OSPFView {
        var view = OSPFView(isConfigured: true)
        keep(&view, Self.view)
        return view
    }

    @Test func `neighbors are one line each`() {
        let lines = only { $0.neighbors = $1.neighbors }.lines()
        #expect(
            lines == [
                "Router ID  Pri  State          Up  Dead  Address    Interface  Area     RXmt  Rqst",
                "10.0.0.2     1  Full/DR  01:01:01    38  192.0.2.2  lan        0.0.0.0     0     0",
            ])
    }

    @Test func `everything about a neighbor`() {
        let lines = only { $0.neighbors = $1.neighbors }.lines(detail: true)
        #expect(
            lines == [
                "Neighbor 10.0.0.2, address 192.0.2.2, interface lan, area 0.0.0.0",
                "  state Full, DR for 01:01:01, priority 1", "  dead in 38 s, BFD up",
                "  0 LSAs to be acknowledged, 0 asked for", "  6 changes of state, last: LoadingDone",
            ])
    }

    @Test func `a database has its name once and what LSAs say below them`() {
        let lines = only { $0.lsas = $1.lsas }.lines()
        #expect(
            lines == [
                "Database of area 0.0.0.0", "  Type    Link State ID  Adv router  Age  Seq         Checksum  Octets",
                "  router  10.0.0.1       10.0.0.1      5  0x80000001  0xbeef        48  own",
                "      stub network 10.1.0.0/16 metric 10",
            ])
    }

    @Test func `a route of type 2 has both costs`() {
        let lines = only { $0.routes = $1.routes }.lines()
        #expect(lines.count == 2 && lines[1].contains("5 (20)") && lines[1].hasSuffix("192.0.2.2 lan"))
    }

    @Test func `interfaces, summary and calculations`() {
        let interfaces = only { $0.interfaces = $1.interfaces }
        #expect(interfaces.lines()[1].contains("1/1"))
        #expect(interfaces.lines(detail: true).contains("  dropped: 2 area mismatch"))
        let summary = only { $0.summary = $1.summary }.lines()
        #expect(summary[0] == "OSPFv2 for IPv4, router ID 10.0.0.1" && summary[1] == "  area border router")
        let spf = only { $0.spf = $1.spf }.lines()
        #expect(spf.contains { $0.contains("50 ms") } && spf.last == "0.0.0.0  10.0.0.2        10  border")
        #expect(OSPFView(isConfigured: false).lines() == ["the router does not speak this OSPF"])
    }
}
