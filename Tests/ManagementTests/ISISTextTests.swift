import Records
import Testing
import Wire

@testable import ISIS
@testable import Management

@Suite struct ISISTextTests {
    private func view(_ change: (inout ISISView) -> Void) -> ISISView {
        var view = ISISView(isConfigured: true)
        change(&view)
        return view
    }

    @Test func `a router without IS-IS says so`() {
        #expect(ISISView(isConfigured: false).lines() == ["the router does not speak IS-IS"])
    }

    @Test func `neighbors, one line each, or all about them`() {
        let neighbor = ISISAdjacencyView(
            system: SystemID("1921.6800.1002")!, hostname: "r2", interface: "lan", levels: .level1And2, state: .up,
            holdTimeLeft: TimeSpan(.seconds(27)), holdingTime: 30, priority: 64, station: MACAddress("02:00:00:00:00:02")!,
            areas: ["49.0001"], addresses: [IPAddress("10.0.0.2")!, IPAddress("fe80::2")!], isMultiTopology: false,
            isRestarting: false, bfd: "up", upFor: TimeSpan(.seconds(3661)))
        var silent = neighbor
        silent.hostname = nil
        silent.upFor = nil
        silent.addresses = []
        silent.state = .initializing
        let view = view { $0.neighbors = [neighbor, silent] }
        #expect(
            view.lines() == [
                "System          Interface  Level  State               Up  Hold  Address",
                "r2              lan        L1L2   Up            01:01:01    27  10.0.0.2",
                "1921.6800.1002  lan        L1L2   Initializing         -    27  02:00:00:00:00:02",
            ])
        #expect(
            view.lines(detail: true).prefix(6) == [
                "r2 on lan, L1L2, Up for 01:01:01", "  system 1921.6800.1002, station 02:00:00:00:00:02, priority 64",
                "  areas 49.0001", "  addresses 10.0.0.2, fe80::2", "  hold time 30 s, 27 s left", "  BFD up",
            ])
        #expect(self.view { $0.neighbors = [] }.lines() == ["no neighbors"])
    }

    @Test func `the database by level, with what LSPs say below them`() {
        let lsp = ISISDatabaseView(
            level: .two, id: LSPID("1921.6800.1001.00-00")!, hostname: "r1", sequence: 0x1a, checksum: 0xbeef,
            remainingLifetime: 1199,
            isPurged: false, isOwn: true, octets: 120, isAttached: false, isOverloaded: true,
            contents: ["areas 49.0001"])
        var purged = lsp
        purged.level = .one
        purged.isPurged = true
        purged.isOwn = false
        purged.contents = nil
        #expect(
            view { $0.lsps = [purged, lsp] }.lines() == [
                "Level 1 link state database, 1 LSP",
                "LSP ID                Name    Sequence  Checksum  Lifetime  Octets  ATT/OL",
                "1921.6800.1001.00-00  r1    0x0000001a    0xbeef    purged     120  0/1",
                "",
                "Level 2 link state database, 1 LSP",
                "LSP ID                  Name    Sequence  Checksum  Lifetime  Octets  ATT/OL",
                "1921.6800.1001.00-00 *  r1    0x0000001a    0xbeef      1199     120  0/1",
                "    areas 49.0001",
            ])
    }

    @Test func `routes and paths`() {
        let route = ISISRouteView(
            prefix: IPPrefix("10.0.0.0/8")!, kind: .level2, metric: 20, distance: 115, tag: 7, isExternal: true,
            nextHops: ["10.0.0.2 lan", "10.0.1.2 core"])
        #expect(
            view { $0.routes = [route] }.lines() == [
                "Prefix      Kind          Metric  Tag  Next hops", "10.0.0.0/8  L2, external      20    7  10.0.0.2 lan",
                "                                       10.0.1.2 core",
            ])
        func path(_ node: String, _ metric: UInt32, _ hops: [String], topology: String = "standard") -> ISISPathView {
            ISISPathView(
                level: .one, topology: topology, node: NodeID(node)!, hostname: nil, metric: metric, firstHops: hops,
                isOverloaded: metric > 0, isAttached: false)
        }
        let paths = [
            path("0000.0000.000a.00", 0, []), path("0000.0000.000b.00", 10, ["b lan"]),
            path("0000.0000.000c.00", 1, ["c lan"], topology: "ipv6-unicast"),
        ]
        #expect(
            view { $0.paths = paths }.lines() == [
                "Level 1, topology standard, 2 nodes", "Node               Name  Metric  Traits      By",
                "0000.0000.000a.00             0              this router", "0000.0000.000b.00            10  overloaded  b lan",
                "",
                "Level 1, topology ipv6-unicast, 1 node", "Node               Name  Metric  Traits      By",
                "0000.0000.000c.00             1  overloaded  c lan",
            ])
    }

    @Test func `the summary names what an operator should know`() {
        let summary = ISISSummaryView(
            system: SystemID("1921.6800.1001")!, hostname: "r1", areas: ["49.0001"], levels: .level1And2, isOverloaded: true,
            isAttached: false, adjacenciesUp: 1, databases: [.init(level: .one, lsps: 3, ownLSPs: 1)], ipv4Routes: 0,
            ipv6Routes: 0, backoff: "quiet", runs: [.init(age: TimeSpan(.seconds(2)), levels: [.one, .two], updates: 4)],
            counters: [], dropped: [Counter("area mismatch", 5)])
        let lines = view { $0.summary = summary }.lines()
        #expect(lines[0] == "IS-IS system 1921.6800.1001 (r1), L1L2")
        #expect(lines.contains("  1 adjacency up"))
        #expect(lines.contains("  overload bit is set: others route around this router"))
        #expect(lines.contains("  level 1: 3 LSPs, 1 of our own"))
        #expect(lines.contains("  calculated 2 s ago: paths of level 1 and 2, 4 routes changed"))
        #expect(lines.contains("  dropped: area mismatch 5"))
    }
}
