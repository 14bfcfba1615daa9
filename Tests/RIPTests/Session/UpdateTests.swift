import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

@Suite struct UpdateTests {
    @Test func `RFC 2453 §3.9.1: a router that starts asks for the tables of its neighbours`() {
        let d = Driver()
        d.input(.configure(d.configuration, d.list))
        #expect(d.packets.map { text($0) } == [["whole 16"], ["whole 16"]])
        #expect(d.packets.allSatisfy { $0.bytes[0] == RIPFormat.request && $0.destination == .ip(RIPInstance.groupIPv4) })
        let ng = Driver(.ng)
        ng.input(.configure(ng.configuration, ng.list))
        #expect(ng.packets.map { text($0) } == [["::/0 16"], ["::/0 16"]])
        #expect(ng.packets.allSatisfy { $0.destination == .ip(RIPInstance.groupIPv6) && $0.hopLimit == 255 })
        #expect(ng.packets[0].source == .ip(.v6(Driver.ourIPv6[0])))
    }

    @Test func `RFC 2453 §3.8: regular updates come every 30 seconds, off by at most five`() {
        let d = Driver().begin()
        var times: [Int64] = []
        for _ in 0..<1200 {
            d.run(.milliseconds(500))
            if d.take().contains(where: { if case .send(let p) = $0 { p.interface.value == 0 } else { false } }) {
                times.append(d.now.nanoseconds / 500_000_000)
            }
        }
        let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(gaps.count >= 16)
        #expect(gaps.allSatisfy { $0 >= 49 && $0 <= 71 })
        #expect(gaps.contains { $0 != gaps[0] })
    }

    private func update(_ change: @escaping (inout RIPConfiguration) -> Void) -> [[String]] {
        let d = Driver(.v2, change).begin()
        d.learn([("172.16.0.0/16", 3)])
        d.run(.seconds(3))
        _ = d.take()
        d.run(.seconds(36))
        return (0..<2).map { interface in d.packets(on: UInt16(interface)).first.map { text($0).sorted() } ?? [] }
    }

    @Test func `RFC 2453 §3.4.3: poisoned reverse`() {
        #expect(
            update { _ in } == [["10.0.1.0/24 1", "172.16.0.0/16 16"], ["10.0.0.0/24 1", "172.16.0.0/16 4"]])
    }

    @Test func `RFC 2453 §3.4.3: simple split horizon`() {
        #expect(
            update { $0.interfaces[0].splitHorizon = .simple } == [["10.0.1.0/24 1"], ["10.0.0.0/24 1", "172.16.0.0/16 4"]])
    }

    @Test func `RFC 2453 §4.4: without split horizon the learned gateway goes along`() {
        #expect(
            update { $0.interfaces[0].splitHorizon = .none }[0]
                == ["10.0.0.0/24 1", "10.0.1.0/24 1", "172.16.0.0/16 4 via 10.0.0.2"])
    }

    @Test func `metrics and offsets of interfaces add up, at most to infinity`() {
        #expect(
            update {
                $0.interfaces[0].metric = 3
                $0.interfaces[1].metricOffset = 5
            }[1] == ["10.0.0.0/24 8", "172.16.0.0/16 11"])
        #expect(
            update {
                $0.interfaces[0].metric = 3
                $0.interfaces[1].metricOffset = 15
            }[1] == ["10.0.0.0/24 16", "172.16.0.0/16 16"])
    }

    @Test func `a passive interface hears and does not speak, and its network is announced`() {
        #expect(
            update { $0.interfaces[0].isPassive = true } == [[], ["10.0.0.0/24 1", "172.16.0.0/16 4"]])
    }

    @Test func `unicast neighbours get updates, on passive interfaces, too`() {
        let d = Driver {
            $0.interfaces[0].isPassive = true
            $0.interfaces[0].neighbors = [.v4(IPv4Address(10, 0, 0, 7)), .v4(IPv4Address(192, 0, 2, 1))]
        }.begin()
        d.run(.seconds(36))
        #expect(d.packets(on: 0).map(\.destination) == [.ip(.v4(IPv4Address(10, 0, 0, 7)))])
    }

    @Test func `RFC 2453 §5.1: version 1 and its compatibility are broadcast, and say what version 1 understands`() {
        for mode in [RIPSendMode.v1, .v1Compatible] {
            let d = Driver { $0.interfaces[0].send = mode }.begin()
            d.learn(
                [("172.16.1.0/24", 5), ("172.16.2.0/24", 3), ("10.9.0.0/16", 1), ("10.0.9.0/24", 1)],
                from: IPv4Address(10, 0, 1, 2), on: 1)
            d.run(.seconds(36))
            let packet = d.packets(on: 0).last!
            #expect(packet.destination == .ip(.v4(.broadcast)))
            #expect(packet.bytes[1] == (mode == .v1 ? 1 : 2))
            #expect(
                text(packet)
                    == (mode == .v1
                        ? ["10.0.1.0/0 1", "10.0.9.0/0 2", "172.16.0.0/0 4"]
                        : ["10.0.1.0/24 1", "10.0.9.0/24 2", "172.16.0.0/16 4"]))
        }
        let silent = Driver { $0.interfaces[0].send = .none }.begin()
        silent.run(.seconds(60))
        #expect(silent.packets(on: 0).isEmpty)
        #expect(!silent.packets(on: 1).isEmpty)
    }

    @Test func `RFC 2453 §3.10.1: triggered updates carry the changes and are few`() {
        let d = Driver().begin()
        d.instance.timers.cancel(.regular(InterfaceID(0)))
        d.instance.timers.cancel(.regular(InterfaceID(1)))
        d.learn([("172.16.0.0/16", 1)])
        #expect(d.packets.isEmpty)
        d.learn([("172.17.0.0/16", 1)])
        d.run(.milliseconds(20))
        // One update for both, gathered within 20 ms.
        #expect(d.packets(on: 1).map { text($0) } == [["172.16.0.0/16 2", "172.17.0.0/16 2"]])
        #expect(d.packets(on: 0).map { text($0) } == [["172.16.0.0/16 16", "172.17.0.0/16 16"]])
        _ = d.take()
        // The next one waits 1 to 5 seconds from the first.
        for i in 0..<9 {
            d.learn([("172.18.\(i).0/24", 1)])
            d.run(.milliseconds(100))
        }
        #expect(d.packets.isEmpty)
        d.run(.seconds(5))
        #expect(d.packets(on: 1).count == 1)
        #expect(text(d.packets(on: 1)[0]).count == 9)
    }

    @Test func `without a wait a triggered update leaves at once`() {
        let d = Driver { $0.timers.triggeredInitial = 0 }.begin()
        d.learn([("172.16.0.0/16", 1)])
        #expect(d.packets(on: 1).map { text($0) } == [["172.16.0.0/16 2"]])
    }

    @Test func `RFC 2453 §3.6: a large table is cut into messages of 25`() {
        let d = Driver().begin()
        for i in 0..<4 { d.learn((0..<25).map { ("172.\(16 + i).\($0).0/24", 1) }) }
        d.run(.milliseconds(20))
        #expect(d.packets(on: 1).map { text($0).count } == [25, 25, 25, 25])
    }

    @Test func `one update leaves from each address that is on a network of its own`() {
        let d = Driver()
        d.list[0].addresses.append(.init(address: .v4(IPv4Address(10, 0, 5, 1)), prefixLength: 24))
        d.list[0].addresses.append(.init(address: .v4(IPv4Address(10, 0, 5, 2)), prefixLength: 24))
        d.input(.configure(d.configuration, d.list))
        #expect(
            d.packets(on: 0).map(\.source) == [.ip(.v4(IPv4Address(10, 0, 0, 1))), .ip(.v4(IPv4Address(10, 0, 5, 1)))])
    }

    @Test func `RFC 2080 §2.5: without a configured link-local address the one of the station is used`() {
        let d = Driver(.ng)
        d.list[0].addresses.removeFirst()
        d.list[0].virtualMAC = MACAddress("00:00:5e:00:01:07")!
        d.input(.configure(d.configuration, d.list))
        #expect(d.packets(on: 0).map(\.source) == [.ip(IPAddress("fe80::200:5eff:fe00:107")!)])
        d.receive(message6([.wholeTable], command: RIPFormat.request), from: IPAddress("fe80::200:5eff:fe00:107")!)
        #expect(d.counter(.ownPacket) == 1)
    }

    @Test func `the end of the protocol is told to neighbours and to the routing table manager`() {
        let d = Driver().begin()
        d.learn([("172.16.0.0/16", 3)])
        d.run(.seconds(1))
        _ = d.take()
        d.input(.configure(nil, d.list))
        #expect(d.packets(on: 1).map { text($0).sorted() } == [["10.0.0.0/24 16", "172.16.0.0/16 16"]])
        #expect(d.updates == [RouteUpdate(IPPrefix("172.16.0.0/16")!, nil)])
        #expect(d.instance.nextDeadline == nil)
        #expect(d.instance.table.count == 0)
        d.learn([("172.16.0.0/16", 3)])
        #expect(d.instance.table.count == 0)
    }
}
