import Machine
import RecordedSteps
import Records
import Routing
import Testing
import Wire

@testable import RIP

@Suite struct RecordedTests {
    private static func recorder(_ title: String, _ driver: Driver) -> StepRecorder {
        let recorder = StepRecorder(title)
        let packetProtocol = driver.configuration.version.packetProtocol
        let summary = { (bytes: [UInt8]) in
            (bytes[0] == RIPFormat.request ? "request " : "response ") + text(bytes, packetProtocol).joined(separator: ", ")
        }
        driver.observer = { [unowned driver] input, effects in
            recorder.step(at: driver.now, "r1", input.text(summary), outcome: effects.flatMap { $0.lines(summary) })
        }
        return recorder
    }

    @Test func `RFC 2453 §3.8, §3.10: a route is learnt, told, lost and forgotten`() throws {
        let driver = Driver()
        let recorder = Self.recorder("RIPv2: a route comes on if0, is announced on if1, times out and is collected", driver)
        driver.begin()
        driver.learn([("10.9.0.0/16", 1), ("10.10.0.0/16", 15)], tag: 7)
        driver.run(.seconds(40))
        driver.learn([("10.9.0.0/16", 3)], tag: 7)
        driver.run(.seconds(310))
        #expect(driver.route("10.9.0.0/16") == nil)
        try recorder.hold("update-and-garbage")
    }

    @Test func `RFC 2080: a route is learnt, told and withdrawn by its neighbour`() throws {
        let driver = Driver(.ng)
        let recorder = Self.recorder("RIPng: a route comes on if0 and is withdrawn there", driver)
        driver.begin()
        let neighbor = IPAddress("fe80::2")!
        driver.receive(message6([entry6("2001:db8:9::/48", 2)]), from: neighbor)
        driver.run(.seconds(35))
        driver.receive(message6([entry6("2001:db8:9::/48", 16)]), from: neighbor)
        driver.run(.seconds(125))
        #expect(driver.route("2001:db8:9::/48") == nil)
        try recorder.hold("withdrawal-ng")
    }
}
