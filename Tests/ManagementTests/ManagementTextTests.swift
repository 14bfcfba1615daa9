import Foundation
import Testing
import Wire

@testable import BGP
@testable import Management

@Suite struct ManagementTextTests {
    @Test(arguments: [
        (0, "00:00:00"), (59, "00:00:59"), (3_723, "01:02:03"), (86_400, "1d00h00m"), (273_900, "3d04h05m"),
        (604_800, "01w0d00h"), (-5, "00:00:00"),
    ])
    func `an up time is short`(seconds: Int, text: String) {
        #expect(Words.upTime(TimeSpan(.seconds(seconds))) == text)
    }

    @Test func `a span has the unit that suits it`() {
        #expect(Words.span(TimeSpan(.nanoseconds(1_250))) == "1.25 µs")
        #expect(Words.span(TimeSpan(.microseconds(120))) == "120 µs")
        #expect(Words.span(TimeSpan(.microseconds(4_250))) == "4.25 ms")
        #expect(Words.span(TimeSpan(.milliseconds(1_200))) == "1.2 s")
        #expect(Words.span(TimeSpan(.seconds(200))) == "00:03:20")
    }

    @Test func `a size has the unit that suits it`() {
        #expect(Words.octets(512) == "512 B")
        #expect(Words.octets(1536) == "1.5 KiB")
        #expect(Words.octets(134 << 20) == "134 MiB")
        #expect(Words.octets(.max) == "17179869184 GiB")
    }

    @Test func `columns line up and a row may be short`() {
        var table = TextTable([("Name", .left), ("Count", .right), ("Note", .left)])
        table.append(["a", "1000000", "x"])
        table.append(["longer", "1"])
        #expect(table.lines == ["Name      Count  Note", "a       1000000  x", "longer        1"])
    }

    @Test func `a release is shown with every format and what is spoken of it`() throws {
        guard case .version(let version) = ManagementCodecTests.results[0] else { return }
        #expect(
            version.lines == [
                "lockstep 1, controller A (n), pid 7", "  started  1970-01-01 00:00:00.000 UTC",
                "  formats  management 1, datastore tables 2, introduction 3", "Between the two  Known here  Spoken",
                "records              2 to 3       2", "snapshot/bgp              1       -",
            ])
    }

    @Test func `a switchover is shown step by step`() {
        #expect(
            ManagementCodecTests.switchover.lines == [
                "2026-11-21 00:13:20.250 UTC, graceful, A to B, done in 7 ms, epoch 4: r", "     1.500 ms  announce: d",
            ])
    }

    @Test func `a router that is not redundant says why in every line of it`() {
        var view = RedundancyView(
            pair: "border1", local: .init(id: "a", name: "border1-a", state: "active-alone"),
            peer: .init(id: "b", name: "border1-b", state: "unknown"), epoch: 7, arbiter: "link", isReady: false,
            notReady: ["the twin does not answer", "bgp differs"],
            channel: .init(
                isConnected: false, local: "10.0.0.1", peer: "10.0.0.2", security: "psk",
                heartbeatInterval: TimeSpan(.milliseconds(10)), heartbeatMultiplier: 5),
            log: .init(appended: 3, committed: 3, applied: 2), parts: [.init(name: "bgp", isRedundant: false, reason: "differs")],
            alarms: ["redundancy is lost"])
        #expect(
            view.lines == [
                "pair border1", "  this       A (border1-a) active-alone", "  twin       B (border1-b) unknown",
                "  epoch      7, arbiter link", "  redundant  NO: the twin does not answer", "                 bgp differs",
                "  channel    NOT connected, 10.0.0.1 to 10.0.0.2, psk", "  heartbeat  every 10 ms, 5 missed mean dead",
                "  log        appended 3, committed 3, applied 2", "  parts      bgp: NOT redundant, differs",
                "  ALARM      redundancy is lost",
            ])
        view.isReady = true
        #expect(view.lines.contains("  redundant  yes, the twin can take over without losing a session"))
    }

    @Test func `the summary shows a session that is up and one that is not`() {
        let family = BGPFamilyView(
            family: .ipv4Unicast, isNegotiated: true, isDisabled: false, isComplete: true, received: 10, accepted: 9, best: 8,
            advertised: 7, maximumPrefixes: 1000, addPathReceive: false, extendedNextHop: false)
        let view = BGPSummaryView(
            routerID: RouterID("198.18.0.1"), routerAS: ASNumber(65000),
            tables: [.init(family: .ipv4Unicast, prefixes: 10, paths: 12)], attributeSets: 3, memory: 2048,
            neighbors: [
                .init(
                    address: IPAddress("198.18.0.11")!, remoteAS: ASNumber(65001), description: "frr", state: .established,
                    stateAge: TimeSpan(.seconds(61)), messagesReceived: 5, messagesSent: 6, queued: 0, families: [family]),
                .init(
                    address: IPAddress("198.18.0.12")!, remoteAS: ASNumber(4_200_000_000), description: "", state: .idle,
                    reason: "shutdown", messagesReceived: 0, messagesSent: 0, queued: 0, families: []),
            ])
        #expect(
            view.lines == [
                "BGP router identifier 198.18.0.1, local AS 65000", "  ipv4-unicast: 10 prefixes, 12 paths",
                "  3 attribute sets, 2 KiB of tables", "",
                "Neighbor             AS  MsgRcvd  MsgSent  OutQ   Up/Down  State            PfxRcd  PfxAcc  PfxSnt  Description",
                "198.18.0.11       65001        5        6     0  00:01:01  Established          10       9       7  frr",
                "198.18.0.12  4200000000        0        0     0     never  Idle (shutdown)       -       -       -", "",
                "2 neighbors, 1 established",
            ])
        func about(_ summary: BGPSummaryView.Neighbor) -> [String] {
            BGPNeighborView(
                summary: summary, kind: "external", localAS: ASNumber(65000), groups: ["transit"], isShutdown: false,
                passive: false, holdTime: 9, keepaliveInterval: 3,
                configuredHoldTime: 90, counters: NeighborCounters(), capabilitiesSent: [], capabilitiesReceived: [],
                hasPassword: false, minimumHopLimit: 0, multihop: 0, isReflectorClient: false, importPolicies: ["accept-all"],
                exportPolicies: [], importIsMissing: false, exportIsMissing: true, establishedCount: 1, droppedCount: 0
            ).lines
        }
        let detail = about(view.neighbors[0])
        #expect(detail.first == "BGP neighbor 198.18.0.11, remote AS 65001, local AS 65000, external, \"frr\"")
        #expect(detail.contains("  peer group transit"))
        #expect(detail.contains("  state Established, up 00:01:01"))
        #expect(detail.contains("  hold time 9 s, keepalive 3 s (configured hold time 90 s)"))
        #expect(detail.contains("  export policy none: no route passes without one (RFC 8212)"))
        // What was agreed on beyond the usual has a line of its own.
        #expect(!detail.contains { $0.contains("RFC 7911") || $0.contains("RFC 8950") })
        var several = view.neighbors[0]
        var agreed = family
        agreed.addPathReceive = true
        agreed.addPathSend = 16
        agreed.extendedNextHop = true
        several.families = [agreed]
        #expect(detail.contains("  graceful restart helper; not agreed on"))
        var restarting = family
        restarting.stale = 3
        restarting.staleFor = TimeSpan(.seconds(90))
        restarting.isLongLivedStale = true
        several.families = [restarting]
        #expect(
            about(several).last == "  ipv4-unicast: 3 routes are stale for long (RFC 9494), for 00:01:30 at most")
        let agreement = BGPRestartView(
            mode: "full", isNegotiated: true, hasNotification: true, restartTime: TimeSpan(.seconds(120)), isRestarting: true,
            preserved: ["ipv4-unicast"], longLived: ["ipv4-unicast 3600 s"], awaitedFor: TimeSpan(.seconds(61)))
        #expect(
            agreement.text
                == "graceful restart full; the neighbor preserves ipv4-unicast, 120 s; NOTIFICATION included (RFC 8538); "
                + "it has restarted; long-lived ipv4-unicast 3600 s; it is awaited for 00:01:01")
        several.families = [agreed]
        #expect(
            about(several).last
                == "  ipv4-unicast: several paths of a prefix are received (RFC 7911), at most 16 paths of a prefix are sent "
                + "(RFC 7911), IPv6 next hops (RFC 8950)")
    }

    @Test func `routes are shown a line for each path, or with everything`() {
        let bgp = RoutesView.BGP(
            neighbor: "198.18.0.11", asPath: "65001 65002", origin: "igp", localPreference: 100, communities: ["65001:1"])
        let view = RoutesView(
            routes: [
                .init(
                    prefix: "10.0.0.0/8",
                    paths: [
                        .init(
                            isBest: true, isInstalled: true, protocol: "bgp", distance: 20, nextHop: "198.18.0.11",
                            interface: "lan", bgp: bgp)
                    ]),
                .init(
                    prefix: "198.18.0.0/24",
                    paths: [
                        .init(isBest: true, isInstalled: true, protocol: "connected", distance: 0, interface: "lan")
                    ]),
            ], total: 2)
        #expect(
            view.lines == [
                "     Prefix         Next hop                   Dist  Metric  Tag  LocPrf  MED  AS path",
                "B*>  10.0.0.0/8     via 198.18.0.11 on lan       20                  100       65001 65002 i",
                "C*>  198.18.0.0/24  directly connected on lan     0",
            ])
        #expect(
            view.detailLines.prefix(5) == [
                "10.0.0.0/8, 1 path", "  B*> bgp, distance 20, best, in the forwarding table", "      via 198.18.0.11 on lan",
                "      from 198.18.0.11", "      AS path 65001 65002, origin igp, local preference 100",
            ])
        // RFC 7911: which of several paths it is.
        var one = view
        one.routes[0].paths[0].bgp?.pathID = 7
        #expect(one.lines[1].contains("via 198.18.0.11 on lan, path 7 "))
        #expect(one.detailLines[3] == "      from 198.18.0.11, path identifier 7")
    }

    @Test func `a route with several next hops has a line for each, and says which group it is in`() {
        var path = RoutesView.Path(
            isBest: true, isInstalled: true, protocol: "ospf", distance: 110, nextHop: "192.0.2.1", interface: "lan")
        path.metric = 20
        path.tag = 7
        path.kind = "external type 1"
        path.nextHops = ["192.0.2.1 on lan", "192.0.2.5 on core"]
        path.group = 9
        path.ways = ["192.0.2.5 on core"]
        let view = RoutesView(routes: [.init(prefix: "10.0.0.0/8", paths: [path])], total: 1)
        #expect(
            view.lines == [
                "     Prefix      Next hop               Dist  Metric  Tag  LocPrf  MED  AS path",
                "O*>  10.0.0.0/8  via 192.0.2.1 on lan    110      20    7",
                "                 via 192.0.2.5 on core",
            ])
        #expect(
            view.detailLines == [
                "10.0.0.0/8, 1 path",
                "  O*> ospf external type 1, distance 110, metric 20, tag 7, best, in the forwarding table",
                "      via 192.0.2.1 on lan", "      via 192.0.2.5 on core", "      group 9: 192.0.2.5 on core",
            ])
    }

    @Test func `groups of the forwarding table say where packets go, and what would take their place`() {
        let view = FIBView(
            groups: [
                .init(id: 1, family: "ipv4", ways: ["on lan"], nextHops: ["on lan"], backup: [], offers: 1),
                .init(id: 5, family: "ipv4", ways: [], nextHops: ["10.0.0.1"], backup: ["10.0.0.2"], offers: 900000),
            ], ipv4Routes: 900001, ipv6Routes: 0)
        #expect(
            view.lines == [
                "Group  Family  Offers  Packets go  Next hop  Backup",
                "    1  ipv4         1  on lan      on lan",
                "    5  ipv4    900000  dropped     10.0.0.1  10.0.0.2",
                "", "900001 IPv4 and 0 IPv6 prefixes in 2 groups",
            ])
    }
}

/// A controller that answers one caller with prepared lines.
private final class OneAnswer: @unchecked Sendable {
    let path: String
    private let listener: Int32
    private let thread: Thread

    init(answers: @escaping @Sendable ([UInt8]) -> [[UInt8]]) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("ls-\(UUID().uuidString.prefix(8)).sock").path
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        try #require(bound == 0)
        try #require(listen(listener, 1) == 0)
        self.path = path
        self.listener = listener
        thread = Thread {
            let caller = accept(listener, nil, nil)
            var splitter = LineSplitter()
            var request: [UInt8]?
            while request == nil {
                var buffer = [UInt8](repeating: 0, count: 4096)
                let count = recv(caller, &buffer, buffer.count, 0)
                if count <= 0 { break }
                request = try? splitter.append(buffer[..<count]).first
            }
            for answer in answers(request ?? []) { _ = send(caller, answer, answer.count, Int32(MSG_NOSIGNAL)) }
            close(caller)
        }
        thread.start()
    }
    deinit {
        close(listener)
        unlink(path)
    }
}

@Suite struct ManagementClientTests {
    @Test func `a caller gets the steps and then the answer`() throws {
        let controller = try OneAnswer { line in
            guard case .success(let request) = ManagementCodec.request(line) else { return [] }
            let step = ManagementResponse(id: request.id, isFinal: false, result: .step(ManagementCodecTests.step))
            let other = ManagementResponse(id: request.id + 9, isFinal: true, result: .done("not for you"))
            let last = ManagementResponse(id: request.id, isFinal: true, result: .done(request.command.name))
            let bytes = [step, other, last].flatMap { (try? ManagementCodec.line($0)) ?? [] }
            return [Array(bytes[..<20]), Array(bytes[20...])]
        }
        var steps: [ManagementResult] = []
        let client = try ManagementClient(path: controller.path)
        let result = try client.ask(.online, author: "ada") { steps.append($0) }
        #expect(result == .done("online"))
        #expect(steps == [.step(ManagementCodecTests.step)])
    }

    @Test func `a controller that hangs up or talks nonsense is an error that says so`() throws {
        let silent = try OneAnswer { _ in [] }
        #expect(throws: ManagementClient.Failure.lost(reason: "the controller hung up before it answered")) {
            try ManagementClient(path: silent.path).ask(.online, author: "")
        }
        let mad = try OneAnswer { _ in [Array("what?\n".utf8)] }
        #expect(
            throws: ManagementClient.Failure.notUnderstood(
                ManagementFailure(.badRequest, "the controller's answer is not understood: not JSON"))
        ) {
            try ManagementClient(path: mad.path).ask(.online, author: "")
        }
    }

    @Test func `a socket that is not there or too long is unreachable`() {
        #expect(
            throws: ManagementClient.Failure.unreachable(
                path: "/nowhere/x.sock", reason: "there is no such socket; is lockstepd running?")
        ) {
            try ManagementClient(path: "/nowhere/x.sock")
        }
        #expect(throws: ManagementClient.Failure.self) { try ManagementClient(path: String(repeating: "x", count: 108)) }
        #expect(throws: ManagementClient.Failure.self) { try ManagementClient(path: "") }
    }
}
