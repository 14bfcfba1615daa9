import BFD
import Foundation
import Records
import Testing
import Wire

@testable import BGP
@testable import Management

@Suite struct ManagementCodecTests {
    static let commands: [ManagementCommand] = [
        .showVersion, .showRedundancy, .showBGPSummary, .showBGPNeighbors(address: nil),
        .showBGPNeighbors(address: "198.18.0.11"), .showRoutes(RouteQuery(prefix: "10.0.0.0/8", match: .within, detail: true)),
        .showISIS(ISISQuery(.database, level: 2, only: "r1", detail: true)),
        .showOSPF(OSPFQuery(.ospfv3ipv4, .database, only: "router", detail: true, after: "1 0 1 2 3", limit: 7)),
        .clearAdjacencies(ClearAdjacencies(routing: "ospf", neighbor: "*")),
        .showBFD, .showTCP, .showInterfaces, .showKernelFIB, .showEvents(EventQuery(after: 7, follow: true)),
        .configurationShow(ConfigurationQuery(revision: 3, canonical: true)),
        .configurationCheck(ConfigurationText(file: "r.yaml", text: "hostname: \"ä\"\n")),
        .configurationApply(
            ConfigurationApply(configuration: ConfigurationText(file: "r", text: ""), comment: "c", dryRun: true, base: 4)),
        .configurationHistory(limit: 5), .configurationDiff(ConfigurationDiffQuery(from: 1)),
        .configurationRollback(ConfigurationRollback(revision: 2)), .switchover(SwitchoverOrder(reason: "r", force: true)),
        .showRIP(RIPQuery(name: "ripng", part: .routes, after: "2001:db8::/32", limit: 5)),
        .clearBGP(ClearBGP(address: "*", mode: .softIn)), .offline(reason: "upgrade"), .online, .testHangEngine, .testTrapEngine,
    ]

    @Test func `every command comes back as it was, on one line`() throws {
        for (i, command) in Self.commands.enumerated() {
            let request = ManagementRequest(id: UInt64(i), author: "ada", command: command)
            var line = try ManagementCodec.line(request)
            #expect(line.popLast() == UInt8(ascii: "\n"))
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try ManagementCodec.request(line).get() == request)
        }
        // One is there twice, with and without an address.
        #expect(Set(Self.commands.map(\.name)).count == Self.commands.count - 1)
    }

    static let step = StepView(name: "announce", elapsed: TimeSpan(.microseconds(1500)), detail: "d")
    static let switchover = SwitchoverView(
        started: Date(timeIntervalSince1970: 1_795_220_000.25), kind: "graceful", reason: "r", from: "a", to: "b", epoch: 4,
        duration: TimeSpan(.milliseconds(7)), outcome: "done", steps: [step])
    static let bfdSession: BFDSessionView = {
        let peer = BFDPeer(interface: InterfaceID(0), local: IPAddress("192.0.2.1")!, remote: IPAddress("192.0.2.2")!)
        var view = BFDSessionView(
            BFDSession(peer: peer, discriminator: 7, sourcePort: 50_000, parameters: BFDSessionParameters()), nil,
            interface: "lan", clients: ["BGP", "OSPF"])
        view.state = .up
        view.remoteDiscriminator = .max
        view.counters = BFDSessionCounters()
        return view
    }()
    static let results: [ManagementResult] = [
        .version(
            VersionView(
                release: "1", tables: 2, introduction: 3,
                formats: [
                    .init(name: "records", oldest: 2, newest: 3, agreed: 2), .init(name: "snapshot/bgp", oldest: 1, newest: 1),
                ], controller: "a", name: "n", pid: 7, started: Date(timeIntervalSince1970: 0))),
        .redundancy(
            RedundancyView(
                pair: "p", local: .init(id: "a", name: "p-a", state: "active"), epoch: 3, arbiter: "link", isReady: true,
                log: .init(appended: 9, committed: 8, applied: 7), lastSwitchover: switchover)),
        .bgpSummary(
            BGPSummaryView(
                routerID: RouterID("1.1.1.1"), routerAS: ASNumber(65000), tables: [], attributeSets: 0, memory: 0, neighbors: [])),
        .bgpNeighbors(BGPNeighborsView(neighbors: [])), .routes(RoutesView(routes: [], total: 0)),
        .isis(ISISView(isConfigured: true)),
        .bfd(BFDView(sessions: [bfdSession], counters: [Counter("a", 1)])),
        .ospf(OSPFTextTests.view),
        .tcp(TCPView(connections: [])), .interfaces(InterfacesView(interfaces: [])),
        .fib(
            FIBView(
                groups: [.init(id: 3, family: "ipv4", ways: ["a on b"], nextHops: ["c"], backup: ["d"], offers: 7)],
                ipv4Routes: 1,
                ipv6Routes: 2)),
        .kernelFIB(KernelFIBView(mode: "kernel", families: [.init(family: "ipv4", wanted: 2, installed: 1, failed: 1)])),
        .events(EventsView(events: [], last: 4)), .configuration(ConfigurationView(revision: 1, text: "a\nb")),
        .configurationCheck(ConfigurationCheckView(isAccepted: true, problems: [])),
        .configurationApply(ConfigurationApplyView(revision: nil, isAccepted: false, problems: [], difference: ["+ a"])),
        .configurationApply(
            ConfigurationApplyView(
                revision: 9, isAccepted: true, problems: [], difference: [], base: 8,
                conflict: ConfigurationConflictView(base: 1, revision: 8, changes: [], difference: nil),
                storage: [ConfigurationStorageView(controller: "a", isStored: false, reason: "full")], isRedundant: false)),
        .configurationHistory(ConfigurationHistoryView(revisions: [])),
        .configurationDiff(ConfigurationDiffView(from: 1, to: 2, lines: [])), .switchover(switchover), .step(step),
        .done("yes"), .failure(ManagementFailure(.refused, "no")),
    ]

    @Test func `every answer comes back as it was, on one line`() throws {
        for result in Self.results {
            let response = ManagementResponse(id: 3, isFinal: true, result: result)
            var line = try ManagementCodec.line(response)
            #expect(line.popLast() == UInt8(ascii: "\n"))
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try ManagementCodec.response(line) == response)
        }
    }

    @Test func `the wire looks as documented`() throws {
        let request = ManagementRequest(id: 1, author: "ada", command: .clearBGP(ClearBGP(address: "198.18.0.1")))
        #expect(
            String(decoding: try ManagementCodec.line(request), as: UTF8.self) == """
                {"arguments":{"address":"198.18.0.1","message":"","mode":"hard"},"author":"ada","command":"clear bgp","id":1,"version":1}

                """)
        let response = ManagementResponse(id: 1, isFinal: false, result: .step(Self.step))
        #expect(
            String(decoding: try ManagementCodec.line(response), as: UTF8.self) == """
                {"final":false,"id":1,"type":"step","value":{"detail":"d","elapsed":0.0015,"name":"announce"},"version":1}

                """)
    }

    private func refusal(_ text: String) -> String? {
        guard case .failure(let refused) = ManagementCodec.request(Array(text.utf8)),
            case .failure(let failure) = refused.response.result
        else { return nil }
        #expect(refused.response.isFinal)
        return "\(refused.response.id) \(failure.code.rawValue) \(failure.reason)"
    }

    @Test func `a line that is no request is answered with what is wrong`() {
        #expect(refusal("hello") == "0 bad-request the line is not a JSON object")
        #expect(refusal("{\"id\":4}") == "4 bad-request 'version' is missing")
        #expect(refusal("{\"version\":2,\"id\":4}") == "4 bad-request version 2 is not spoken here, only 1")
        #expect(refusal("{\"version\":1,\"id\":4}") == "4 bad-request 'command' is missing")
        #expect(refusal("{\"version\":1,\"id\":4,\"command\":\"reboot\"}") == "4 bad-request 'command': unknown command 'reboot'")
        #expect(refusal("{\"version\":1,\"id\":4,\"command\":\"switchover\"}") == "4 bad-request 'arguments' is missing")
        #expect(
            refusal("{\"version\":1,\"id\":4,\"command\":\"switchover\",\"arguments\":{\"force\":1}}")?.hasPrefix(
                "4 bad-request 'arguments") == true)
        #expect(refusal("{\"version\":1,\"id\":-1,\"command\":\"online\"}") != nil)
        #expect(refusal(String(repeating: "[", count: 100_000)) != nil)
        #expect(refusal("\u{0}\u{1}") != nil)
    }

    @Test func `every truncation of a request is refused and none traps`() throws {
        let line = try ManagementCodec.line(ManagementRequest(id: 1, author: "a", command: Self.commands[5]))
        for count in 0..<(line.count - 1) {
            guard case .failure = ManagementCodec.request(Array(line[..<count])) else {
                Issue.record("\(count) octets are accepted")
                return
            }
        }
    }

    @Test func `an answer of another version is an error with a reason`() {
        #expect(throws: ManagementFailure.self) {
            try ManagementCodec.response(Array("{\"version\":9,\"id\":1,\"final\":true,\"type\":\"done\",\"value\":\"x\"}".utf8))
        }
        #expect(throws: ManagementFailure.self) { try ManagementCodec.response(Array("x".utf8)) }
    }
}

@Suite struct ManagementTimeTests {
    @Test(arguments: [
        (0.0, "1970-01-01T00:00:00.000000Z"), (951_782_400.5, "2000-02-29T00:00:00.500000Z"),
        (1_795_220_000.25, "2026-11-21T00:13:20.250000Z"), (-1.0, "1969-12-31T23:59:59.000000Z"),
        (4_102_444_799.999999, "2099-12-31T23:59:59.999999Z"),
    ])
    func `a time has one text and the text one time`(seconds: Double, text: String) throws {
        let date = Date(timeIntervalSince1970: seconds)
        #expect(ManagementTime.text(date) == text)
        #expect(try #require(ManagementTime.date(text)) == date)
    }

    @Test func `anything else is no time`() {
        for text in [
            "", "2026-11-21", "2026-13-21T00:13:20.250000Z", "2026-11-21T24:13:20.250000Z", "2026-11-21T00:13:20.25000xZ",
        ] {
            #expect(ManagementTime.date(text) == nil)
        }
        #expect(ManagementTime.text(Date(timeIntervalSince1970: .nan)) == "1970-01-01T00:00:00.000000Z")
        #expect(ManagementTime.text(Date(timeIntervalSince1970: 1e300)) == "1970-01-01T00:00:00.000000Z")
    }
}

@Suite struct LineSplitterTests {
    private func split(_ pieces: [String], maximum: Int = 10) throws -> [String] {
        var splitter = LineSplitter(maximum: maximum)
        return try pieces.flatMap { try splitter.append(Array($0.utf8)).map { String(decoding: $0, as: UTF8.self) } }
    }

    @Test func `lines come out whole whatever the pieces`() throws {
        let text = "a\n\nbcd\nefghij\nklm"
        let whole = ["a", "bcd", "efghij"]
        #expect(try split([text]) == whole)
        #expect(try split(text.map { String($0) }) == whole)
        for cut in 0...text.count { #expect(try split([String(text.prefix(cut)), String(text.dropFirst(cut))]) == whole) }
    }

    @Test func `a line beyond the maximum is an error before it ends`() throws {
        #expect(try split(["0123456789\n"]) == ["0123456789"])
        #expect(throws: LineSplitter.LineTooLong.self) { try split(["01234567890"]) }
        #expect(throws: LineSplitter.LineTooLong.self) { try split(["a\n01234567890\n"]) }
        #expect(throws: LineSplitter.LineTooLong.self) { try split(["012345", "67890"]) }
    }
}
