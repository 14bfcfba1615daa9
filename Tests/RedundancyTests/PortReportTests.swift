import Machine
import Records
import Testing
import Wire

@testable import Redundancy

@Suite struct PortReportTests {
    static let full: PortReport = {
        var report = PortReport()
        for i in 0..<PortReport.portsMaximum {
            var port = PortReport.Port()
            port.inward = InwardHealth.allCases[i % InwardHealth.allCases.count]
            port.twinOutward = OutwardHealth.allCases[i % OutwardHealth.allCases.count]
            port.isUp = i % 2 == 0
            port.callsForFast = i % 3 == 0
            port.trial = TrialOutcome.allCases[i % TrialOutcome.allCases.count]
            port.sent = UInt8(i)
            port.heard = UInt8(255 - i)
            port.groupIPv4 = 0xff00 | UInt16(i)
            port.groupIPv6 = 0x1234
            port.groupOther = UInt16(i) << 8
            report.ports.append(port)
        }
        report.otherPorts = 4032
        report.otherPoints = 16128
        report.damperLevel = 6
        report.holdOff = .milliseconds(59_990)
        report.station = .init(interface: 63, place: 3, address: .v6(IPv6Address(high: 0x2001_0db8_0000_0000, low: 9)))
        return report
    }()

    func encoded(_ report: PortReport) -> [UInt8] {
        var writer = ByteWriter()
        report.encode(into: &writer)
        return writer.bytes
    }

    func decoded(_ octets: [UInt8]) throws(DecodeError) -> PortReport {
        var reader = ByteReader(octets.span.bytes)
        let report = try PortReport(from: &reader)
        try reader.expectEnd("report")
        return report
    }

    @Test("A report survives the way, and is never longer than it says")
    func roundTrip() throws {
        #expect(try decoded(encoded(Self.full)) == Self.full)
        #expect(encoded(Self.full).count == PortReport.sizeMaximum)
        #expect(try decoded(encoded(PortReport())) == PortReport())
        var short = Self.full
        short.station?.address = .v4(IPv4Address(192, 0, 2, 7))
        #expect(try decoded(encoded(short)) == short)
        var long = Self.full
        long.ports += long.ports
        #expect(encoded(long).count == PortReport.sizeMaximum, "what is too much is left out")
    }

    @Test("Every truncation is refused, and a flipped bit is a report or an error, never a trap")
    func damage() {
        let octets = encoded(Self.full)
        for count in 0..<octets.count {
            #expect(throws: DecodeError.self) { try decoded(Array(octets[..<count])) }
        }
        for bit in 0..<(octets.count * 8) {
            var flipped = octets
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            if let report = try? decoded(flipped) { #expect(report != Self.full) }
        }
        var newer = octets
        newer[0] = 3
        #expect(throws: DecodeError("port report version", at: 0, .unsupported)) { try decoded(newer) }
    }

    @Test("Ports beyond the sixty-fourth are told as a sum and judged by their carrier")
    func sums() throws {
        let at = Instant(nanoseconds: 1_000_000_000)
        var a = PortJudge(portCount: 100), b = PortJudge(portCount: 100)
        a.carrier(InterfaceID(80), isUp: false, at: at)
        let report = a.report(at: at)
        #expect(report.ports.count == 64)
        #expect(report.otherPorts == 36)
        #expect(report.otherPoints == 35 * 4)
        b.twinReport(try decoded(encoded(report)), at: at)
        #expect(b.comparison(at: at).better == .ours)
        a.twinReport(b.report(at: at), at: at)
        #expect(a.comparison(at: at).better == .twins)
        let early = a.takeHandover(isTwinReady: true, at: at)
        #expect(early == nil, "not yet steady")
        #expect(a.nextDeadline == at + .milliseconds(50))
        a.tick(at: at + .milliseconds(50))
        let why = a.takeHandover(isTwinReady: true, at: at + .milliseconds(50))
        #expect(why == "99 of 100 ports work here, 100 of 100 ports work there")
    }

    @Test("A port number that no interface can have is ignored")
    func bounds() {
        let at = Instant(nanoseconds: 5)
        var judge = PortJudge()
        judge.carrier(InterfaceID(4096), isUp: false, at: at)
        judge.carrier(InterfaceID(.max), isUp: false, at: at)
        #expect(judge.portCount == 0)
        judge.carrier(InterfaceID(4095), isUp: false, at: at)
        #expect(judge.portCount == PortJudge.portsMaximum)
        #expect(judge.report(at: at).otherPorts == 4032)
    }

    @Test("Kinds of frames go by the group bit and the type inside the tag")
    func kinds() {
        let one = MACAddress(raw: 0x0200_0000_0001), all = MACAddress(raw: 0xffff_ffff_ffff)
        #expect(FrameKind(destination: one, etherType: 0x0800) == .unicast)
        #expect(FrameKind(destination: all, etherType: 0x0800) == .groupIPv4)
        #expect(FrameKind(destination: all, etherType: 0x0806) == .groupOther)
        #expect(FrameKind(destination: MACAddress(raw: 0x3333_0000_0001), etherType: 0x86dd) == .groupIPv6)
        #expect(FrameKind(destination: MACAddress(raw: 0x0180_c200_0014), etherType: 64) == .groupOther)
    }
}

@Suite struct FrameRhythmTests {
    func at(_ milliseconds: Int) -> Instant { Instant(nanoseconds: Int64(milliseconds) * 1_000_000) }

    @Test("Nothing is usual before eight silences over two seconds")
    func learning() {
        var rhythm = FrameRhythm(window: .seconds(8))
        #expect(rhythm.usualSilence(at: at(0)) == nil)
        for i in 0...20 {
            rhythm.note(1, learns: true, at: at(i * 100))
            if i < 20 { #expect(rhythm.usualSilence(at: at(i * 100)) == nil) }
        }
        #expect(rhythm.usualSilence(at: at(2000)) == .milliseconds(100))
        #expect(rhythm.frames(at: at(2000)) == 21)
    }

    @Test("One late frame changes nothing, a second one does, and both are forgotten after two windows")
    func outliers() {
        var rhythm = FrameRhythm(window: .seconds(8)), time = 0
        func note(_ count: Int, every interval: Int) {
            for _ in 0..<count {
                time += interval
                rhythm.note(1, learns: true, at: at(time))
            }
        }
        note(300, every: 10)
        note(1, every: 900)
        #expect(rhythm.usualSilence(at: at(time)) == .milliseconds(10))
        note(10, every: 10)
        note(1, every: 700)
        #expect(rhythm.usualSilence(at: at(time)) == .milliseconds(700))
        note(1700, every: 10)
        #expect(rhythm.usualSilence(at: at(time)) == .milliseconds(10))
    }

    @Test("A silence that is not to be learned is not, and a LAN that became quiet has no usual silence")
    func quiet() {
        var rhythm = FrameRhythm(window: .seconds(8))
        for i in 0...300 { rhythm.note(1, learns: true, at: at(i * 10)) }
        rhythm.note(1, learns: false, at: at(5000))
        rhythm.note(1, learns: true, at: at(5010))
        rhythm.pause()
        rhythm.note(1, learns: true, at: at(7000))
        #expect(rhythm.usualSilence(at: at(7000)) == .milliseconds(10))
        #expect(rhythm.usualSilence(at: at(24_000)) == nil)
        #expect(rhythm.frames(at: at(24_000)) == 0)
    }
}

@Suite struct RoleDamperTests {
    func at(_ seconds: Int) -> Instant { Instant(nanoseconds: Int64(seconds) * 1_000_000_000) }

    @Test("The first change is free; the hold-off doubles from two seconds to a minute")
    func doubling() {
        var damper = RoleDamper(), time = at(100)
        for holdOff in [2, 4, 8, 16, 32, 60, 60] {
            #expect(damper.allows(at: time))
            damper.noteChange(at: time)
            #expect(damper.remaining(at: time) == .seconds(holdOff))
            #expect(!damper.allows(at: time + .seconds(holdOff) - .nanoseconds(1)))
            time = damper.until
        }
    }

    @Test("Each quiet minute takes one doubling back")
    func decay() {
        var damper = RoleDamper()
        for _ in 0..<3 { damper.noteChange(at: max(at(100), damper.until)) }
        #expect(damper.level(at: damper.until + .seconds(59)) == 3)
        #expect(damper.level(at: damper.until + .seconds(60)) == 2)
        #expect(damper.level(at: damper.until + .seconds(120)) == 1)
        #expect(damper.level(at: damper.until + .seconds(10_000)) == 0)
    }

    @Test("The twin's hold-off is adopted once, and told back and forth it neither grows nor stays for ever")
    func adoption() {
        var a = RoleDamper(), b = RoleDamper()
        a.noteChange(at: at(100))
        var time = at(100)
        for _ in 0..<1000 {
            time = time + .milliseconds(5)
            b.adopt(level: a.level(at: time), remaining: a.remaining(at: time), at: time + .milliseconds(3))
            time = time + .milliseconds(5)
            a.adopt(level: b.level(at: time), remaining: b.remaining(at: time), at: time + .milliseconds(3))
        }
        #expect(a.until == at(102))
        #expect(b.until <= at(102) + .milliseconds(3))
        #expect(b.level(at: at(103)) == 1)
        #expect(b.level(at: at(200)) == 0)
        b.noteChange(at: at(103))
        a.adopt(level: b.level(at: at(103)), remaining: b.remaining(at: at(103)), at: at(103))
        #expect(a.until == at(107))
    }
}
