import Machine
import RecordedSteps
import Records
import Routing
import Testing
import Wire

@testable import BGP

@Suite struct RecordedTests {
    private static func driver(_ title: String, _ change: @escaping (inout BGPConfiguration) -> Void = { _ in })
        -> (Driver, StepRecorder)
    {
        let recorder = StepRecorder(title)
        var driver = Driver { configuration in
            configuration.networks = ["192.0.2.0/24", "2001:db8:1::/48"].map { OriginatedNetwork(prefix: IPPrefix($0)!) }
            change(&configuration)
        }
        driver.observer = { driver, input, effects in
            recorder.step(
                at: driver.now, "r1", text(input), outcome: effects.flatMap(lines),
                state: ["neighbor \(driver.state)", "prefixes \(driver.prefixes.map { "\($0)" }.joined(separator: " "))"])
        }
        return (driver, recorder)
    }

    private static func text(_ input: BGPInstance.Input) -> String? {
        switch input {
        case .opened(let connection, _, _, _, let isOurs): "\(connection) is open\(isOurs ? ", asked for by us" : "")"
        case .received(let connection, let octets): "\(connection) brings " + messages(octets).map(\.text).joined(separator: "; ")
        case .closed(let connection, let reason): "\(connection) is closed: \(reason)"
        case .acknowledged(let connection, let offset): "\(connection) has all up to \(offset)"
        case .nextHop(let address, _): "\(address) is reachable"
        case .time: nil
        default: "\(input)"
        }
    }

    private static func lines(_ effect: BGPInstance.Effect) -> [String] {
        switch effect {
        case .send(let connection, let octets):
            messages(Array(octets)).flatMap { ["> \(connection) \($0.text)"] + StepRecorder.octets($0.octets) }
        case .track(let address): ["tracks \(address)"]
        case .untrack(let address): ["no longer tracks \(address)"]
        case .finish(let connection): ["finishes \(connection)"]
        case .abort(let connection): ["aborts \(connection)"]
        case .event(let event): ["event \(event)"]
        case .listen(let endpoints): endpoints.map { "listens to \($0.remote) on port \($0.localPort)" }
        case .connect(let endpoint): ["connects to \(endpoint.remote)"]
        case .routes: ["routes"]
        }
    }

    /// Whole messages, and what they say.
    private static func messages(_ octets: [UInt8]) -> [(text: String, octets: [UInt8])] {
        var list: [(text: String, octets: [UInt8])] = []
        var rest = octets
        while let header = rest.count >= MessageHeader.size ? try? MessageHeader(rest.span.bytes, at: 0, extended: true) : nil {
            let message = Array(rest.prefix(header.length))
            list.append((text(header.type, body: Array(message[MessageHeader.size...])), message))
            rest = Array(rest.dropFirst(header.length))
        }
        return list
    }

    private static func text(_ type: MessageType, body: [UInt8]) -> String {
        let span = body.span.bytes
        switch type {
        case .keepalive: return "KEEPALIVE"
        case .routeRefresh: return "ROUTE-REFRESH"
        case .notification: return "NOTIFICATION \(NotificationMessage(body: span))"
        case .open:
            guard let open = try? OpenMessage(body: span) else { return "bad OPEN" }
            let restart = open.capabilities.gracefulRestart.map { ", restarts in \($0.time) s\($0.isRestarting ? " now" : "")" }
            return "OPEN AS \(open.asNumber) hold \(open.holdTime) s ID \(open.identifier)\(restart ?? "")"
        case .update:
            do {
                let context = Build.context()
                let update = try UpdateMessage(body: span, context: context)
                if let family = update.endOfRIB { return "UPDATE End-of-RIB \(family)" }
                var block: [UInt8] = []
                update.gatherBlock(into: &block)
                var attributes = PathAttributes()
                _ = attributes.decode(block: block.span.bytes, context: context, hasReachableNLRI: update.hasReachableNLRI)
                var words = ["UPDATE"]
                if update.hasReachableNLRI { words.append("path \(attributes.asPathDescription) origin \(attributes.origin)") }
                if !update.nlri.isEmpty { words.append("next hop \(attributes.nextHop) \(prefixes(update.nlri, .ipv4))") }
                if !update.reachNLRI.isEmpty {
                    words.append("next hop \(update.reachNextHop) \(prefixes(update.reachNLRI, .ipv6))")
                }
                if !update.withdrawn.isEmpty { words.append("withdraws \(prefixes(update.withdrawn, .ipv4))") }
                if !update.unreachNLRI.isEmpty { words.append("withdraws \(prefixes(update.unreachNLRI, .ipv6))") }
                return words.joined(separator: " ")
            } catch { return "bad UPDATE: \(error)" }
        }
    }

    private static func prefixes(_ nlri: RawSpan, _ family: AddressFamily) -> String {
        var words: [String] = []
        var octets = [UInt8](copying: nlri)[...]
        while let length = octets.popFirst() {
            let count = (Int(length) + 7) / 8
            let padded = Array(octets.prefix(count)) + [UInt8](repeating: 0, count: 16 - count)
            func half(_ range: Range<Int>) -> UInt64 { padded[range].reduce(0) { $0 << 8 | UInt64($1) } }
            words.append(
                family == .ipv4
                    ? "\(IPv4Prefix(IPv4Address(raw: UInt32(half(0..<4))), length))"
                    : "\(IPv6Prefix(IPv6Address(high: half(0..<8), low: half(8..<16)), length))")
            octets = octets.dropFirst(count)
        }
        return words.joined(separator: " ")
    }

    private static let announcement = Build.message(
        2, Build.update(attributes: Build.origin + Build.path4(65001) + Build.nextHop, nlri: Build.nlri + [16, 10, 20]))

    @Test("RFC 4271 §8, §9: OPEN to Established, UPDATE both ways, and the hold timer")
    func session() throws {
        var (driver, recorder) = Self.driver("BGP: a session comes up, UPDATEs go both ways, the neighbor falls silent")
        driver.accept()
        driver.receive(driver.open { $0.holdTime = 9 })
        driver.receive(Driver.keepalive)
        driver.wait(.seconds(1))
        driver.receive(Self.announcement)
        driver.receive(
            Build.message(
                2,
                Build.update(
                    attributes: Build.reach6(Build.nlri6) + Build.origin + Build.path4(65001, 65010))))
        driver.receive(Build.message(2, Build.update(withdrawn: Build.nlri)))
        driver.wait(.seconds(10))
        #expect(driver.notification == .holdTimerExpired)
        try recorder.hold("session")
    }

    @Test("RFC 4724 §4: a neighbor restarts gracefully, and what it said stays meanwhile")
    func restart() throws {
        var (driver, recorder) = Self.driver(
            "BGP: a neighbor with graceful restart says all, goes away, and comes back restarting")
        func open(isRestarting: Bool) -> [UInt8] {
            driver.open {
                $0.capabilities.gracefulRestart = .init(
                    isRestarting: isRestarting, time: 120, families: [.ipv4Unicast, .ipv6Unicast],
                    forwarding: [.ipv4Unicast, .ipv6Unicast])
            }
        }
        driver.accept(2)
        driver.receive(open(isRestarting: false))
        driver.receive(Driver.keepalive)
        driver.receive(Self.announcement)
        driver.receive(Build.message(2, Build.update()))
        driver.wait(.seconds(1))
        driver.give(.closed(ConnectionID(2), .resetByPeer))
        #expect(driver.prefixes == [2, 0])
        driver.wait(.seconds(10))
        driver.accept(4)
        driver.receive(open(isRestarting: true))
        driver.receive(Driver.keepalive)
        driver.receive(Self.announcement)
        driver.receive(Build.message(2, Build.update()))
        driver.wait(.seconds(1))
        #expect(driver.prefixes == [2, 0])
        try recorder.hold("graceful-restart")
    }
}
