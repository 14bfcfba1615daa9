import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

/// What a neighbour can make us hold, and how much we say at once.
@Suite struct BoundTests {
    private func prefix(_ n: Int) -> String { "172.\(16 + n / 65_536).\(n / 256 % 256).\(n % 256)/32" }

    @Test func `what was withdrawn counts until it is forgotten: ever other prefixes do not fill the table`() {
        let d = Driver { $0.limits.routesMaximum = 100 }.begin()
        for round in 0..<4000 {
            let names = (0..<25).map { prefix(round * 25 + $0) }
            d.learn(names.map { ($0, 1) })
            d.learn(names.map { ($0, 16) })
            d.run(.milliseconds(1))
            // The two networks of our own, too.
            if d.instance.table.count > 102 { break }
        }
        #expect(d.instance.table.count <= 102)
        #expect(d.events.filter { $0.contains("limit of 100 routes") }.count == 1)
        d.run(.seconds(30))
        #expect(d.packets.count < 100)
        // What is known may come back at any time, and others once the garbage is collected.
        d.learn([(prefix(0), 1)])
        #expect(d.route(prefix(0))?.pathCount == 1)
        d.run(.seconds(130))
        d.learn([(prefix(70_000), 1)])
        #expect(d.route(prefix(70_000))?.pathCount == 1)
    }

    @Test func `redistributed routes that come and go do not fill the table either, nor keep neighbours out`() {
        let d = Driver { $0.limits.routesMaximum = 100 }.begin()
        for round in 0..<20 {
            for isThere in [true, false] {
                d.input(
                    .redistribute(
                        (0..<50).map {
                            RedistributionUpdate(
                                IPPrefix(prefix(round * 50 + $0))!, isThere ? RedistributedRoute(source: .static) : nil)
                        }))
            }
            d.run(.milliseconds(1))
        }
        #expect(d.instance.table.count <= 202)
        d.learn((0..<25).map { ("10.9.\($0).0/24", 1) })
        #expect(d.instance.table.learnedCount == 25)
    }

    private func fill(_ d: Driver, _ count: Int) {
        for first in stride(from: 0, to: count, by: 25) {
            d.learn((first..<min(first + 25, count)).map { (prefix($0), 1) })
        }
    }

    @Test func `a long table leaves in steps, all of it, to the neighbour that asks and in regular updates`() {
        let d = Driver().begin()
        fill(d, 10_000)
        d.run(.seconds(5))
        _ = d.take()
        let most = RIPInstance.messagesPerStep + 1
        let asked = d.receive(
            message(2, [.wholeTable], command: RIPFormat.request), from: .v4(IPv4Address(10, 0, 1, 9)), on: 1, port: 4000)
        #expect(asked.count { if case .send = $0 { true } else { false } } <= most)
        // Who asks again meanwhile waits for what is under way.
        d.receive(
            message(2, [.wholeTable], command: RIPFormat.request), from: .v4(IPv4Address(10, 0, 1, 9)), on: 1, port: 4000)
        #expect(d.counter(.tooManyRequests, on: 1) == 1)
        var bursts: [Int] = []
        let end = d.now + .seconds(50)
        while let next = d.instance.nextDeadline, next <= end {
            d.now = max(d.now, next)
            bursts.append(d.input(.time).count { if case .send = $0 { true } else { false } })
        }
        #expect(bursts.max() ?? 0 <= 2 * most)
        let answer = d.packets.filter { $0.destinationPort == 4000 }.flatMap { text($0) }
        #expect(Set(answer).count == 10_001 && answer.count == 10_001)
        #expect(d.instance.pending.isEmpty)
        let updates = d.packets(on: 1).filter { $0.destinationPort == 0 }.flatMap { text($0) }
        #expect(updates.count >= 10_001)
    }

    @Test func `a regular update does not wait for the tables that strangers ask for`() throws {
        let d = Driver {
            $0.limits.requestsPerSecond = 10_000
            $0.timers.update = 5
        }.begin()
        fill(d, 2000)
        d.run(.seconds(2))
        for n in 0..<1100 {
            let port = UInt16(2000 + n)
            d.receive(
                message(2, [.wholeTable], command: RIPFormat.request), from: .v4(IPv4Address(10, 0, 1, 9)), on: 1, port: port)
        }
        #expect(d.instance.pending.count == RIPInstance.pendingMaximum)
        #expect(d.counter(.tooManyRequests, on: 1) > 0)
        _ = d.take()
        // 1,024 answers of 80 messages take 13 s; an interface's update is due within 7.
        d.run(.seconds(7))
        let told = d.packets.filter { $0.destinationPort == 0 }
        for interface in 0..<2 as Range<UInt16> {
            let all = Set(told.filter { $0.interface == InterfaceID(interface) }.flatMap { text($0) })
            #expect(all.count >= (interface == 0 ? 1 : 2000), "interface \(interface)")
        }
        #expect(d.instance.pending.count > 100, "the answers still go on")
        var writer = SnapshotWriter()
        d.instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        #expect(try RIPInstance(from: &reader).digest == d.instance.digest)
    }

    @Test func `many changes are told in steps, all of them, and a twin goes on in the middle of it`() throws {
        let d = Driver().begin()
        fill(d, 10_000)
        _ = d.take()
        d.run(.milliseconds(100))
        var writer = SnapshotWriter()
        d.instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let twin = try RIPInstance(from: &reader)
        #expect(twin.digest == d.instance.digest)
        d.instance = twin
        d.run(.seconds(8))
        #expect(Set(d.packets(on: 1).flatMap { text($0) }).count >= 10_000)
        #expect(d.instance.changed.isEmpty)
    }

    @Test func `our own addresses are reached through nobody`() {
        let d = Driver().begin()
        d.learn([("10.0.1.1/32", 1), ("10.0.1.2/32", 1)])
        #expect(d.route("10.0.1.1/32") == nil)
        #expect(d.route("10.0.1.2/32")?.metric == 2)
        #expect(d.counter(.entryDestination) == 1)
        let six = Driver(.ng).begin()
        six.receive(message6([entry6("2001:db8:1::1/128", 1), entry6("2001:db8:1::2/128", 1)]), from: IPAddress("fe80::2")!)
        #expect(six.route("2001:db8:1::1/128") == nil)
        #expect(six.route("2001:db8:1::2/128")?.metric == 2)
    }
}
