import BGP
import Engine
import Testing
import Wire

@testable import Configuration

private func restarting(process: String = "{}", neighbor: String = "{}", family: String = "{}", remoteAS: String = "65001")
    -> String
{
    """
    interfaces:
      - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24]}
    bgp:
      as: 65000
      router-id: 198.18.0.1
      require-policy: false
      graceful-restart: \(process)
      neighbors:
        - address: 198.18.0.11
          remote-as: \(remoteAS)
          graceful-restart: \(neighbor)
          families: {ipv4-unicast: \(family)}
        - {address: 198.18.0.12, remote-as: 65002}
    """
}

@Suite struct GracefulRestartTextTests {
    @Test func `without a word neighbours are helped, and nothing is stale for long`() throws {
        let bgp = try #require(read(restarting()).value?.bgp)
        #expect(bgp.gracefulRestart == GracefulRestartConfiguration())
        #expect(bgp.neighbors.allSatisfy { $0.gracefulRestart.mode == .helper && $0.families[0].longLivedStaleTime == 0 })
    }

    @Test func `a neighbour has what the process has, but for what it says itself, and all is written again`() throws {
        let text = restarting(
            process: "{mode: full, restart-time: 5m, advertise-long-lived-stale: true, selection-deferral-time: 60s}",
            neighbor: "{stale-routes-time: 90s, restart-time: 120s}", family: "{long-lived-stale-time: 1h}")
        let configuration = try #require(read(text).value)
        let bgp = try #require(configuration.bgp)
        var expected = GracefulRestartConfiguration()
        expected.mode = .full
        expected.restartTime = 300
        expected.advertisesStaleRoutes = true
        expected.selectionDeferralTime = 60
        #expect(bgp.gracefulRestart == expected && bgp.neighbors[1].gracefulRestart == expected)
        expected.restartTime = 120
        expected.staleRoutesTime = 90
        #expect(bgp.neighbors[0].gracefulRestart == expected)
        #expect(bgp.neighbors[0].families[0].longLivedStaleTime == 3600)
        let canonical = RouterText.text(of: configuration)
        #expect(read(canonical).value == configuration)
        #expect(read(canonical).value.map { RouterText.text(of: $0) } == canonical)
        #expect(try RouterConfiguration(decoding: configuration.encoded()) == configuration)
    }

    @Test func `the mode alone is enough`() throws {
        let configuration = try #require(read(restarting(process: "full", neighbor: "off")).value)
        #expect(configuration.bgp?.neighbors.map(\.gracefulRestart.mode) == [.off, .full])
        let canonical = RouterText.text(of: configuration)
        #expect(read(canonical).value == configuration)
    }

    @Test(arguments: [
        ("some", "{}", "{}", "'some' is not allowed; it can be off, helper or full"),
        ("{}", "{stale-routes-time: 2h}", "{}", "2h is not allowed; write a time from 1s to 4095s"),
        ("{}", "{select-defer-time: 60s}", "{}", "unknown key; write selection-deferral-time at the process"),
        ("{}", "{selection-deferral-time: 60s}", "{}", "unknown key; write it at the process"),
        ("{stalepath-time: 60s}", "{}", "{}", "unknown key; write stale-routes-time"),
        (
            "{}", "off", "{long-lived-stale-time: 1h}",
            "'long-lived-stale-time' needs graceful-restart: helper or full (RFC 9494 §4.1)"
        ),
        (
            "{}", "{advertise-long-lived-stale: true}", "{}",
            "an external neighbor gets long-lived stale routes only if it speaks of them (RFC 9494 §4.6)"
        ),
    ]) func `a mistake is named`(_ process: String, _ neighbor: String, _ family: String, _ message: String) {
        let result = read(restarting(process: process, neighbor: neighbor, family: family))
        #expect(result.value == nil)
        #expect(result.problems.contains { $0.message == message }, "\(result.problems.map(\.message))")
    }

    @Test func `an internal neighbour may be given stale routes`() {
        #expect(read(restarting(neighbor: "{advertise-long-lived-stale: true}", remoteAS: "internal")).errors.isEmpty)
    }
}
