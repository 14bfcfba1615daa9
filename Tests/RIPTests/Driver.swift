import Machine
import Records
import Routing
import Wire

@testable import RIP

/// A RIP instance by hand: interfaces, a clock, inputs, and what came of them.
final class Driver {
    var instance: RIPInstance
    var now = Instant.zero + .seconds(1000)
    var configuration: RIPConfiguration
    var list: [InterfaceConfiguration]
    private(set) var effects: [InteriorGatewayEffect] = []
    /// Sees each step after it.
    var observer: (RIPInstance.Input, [InteriorGatewayEffect]) -> Void = { _, _ in }

    static let ourIPv4 = [IPv4Address(10, 0, 0, 1), IPv4Address(10, 0, 1, 1)]
    static let ourIPv6 = [IPv6Address(high: 0xfe80 << 48, low: 0x10), IPv6Address(high: 0xfe80 << 48, low: 0x11)]

    /// Two interfaces, `eth0` on 10.0.0.0/24 and `eth1` on 10.0.1.0/24 (RIPng: 2001:db8::/64 and 2001:db8:1::/64).
    init(_ version: RIPVersion = .v2, seed: UInt64 = 1, _ change: (inout RIPConfiguration) -> Void = { _ in }) {
        instance = RIPInstance(seed: seed)
        configuration = RIPConfiguration(
            version: version,
            interfaces: [RIPInterfaceConfiguration(name: "eth0"), RIPInterfaceConfiguration(name: "eth1")])
        change(&configuration)
        list = (0..<2).map { i in
            InterfaceConfiguration(
                name: "eth\(i)", virtualMAC: MACAddress(raw: UInt64(0x0200_0000_0000 + i)),
                addresses: version == .v2
                    ? [.init(address: .v4(Self.ourIPv4[i]), prefixLength: 24)]
                    : [
                        .init(address: .v6(Self.ourIPv6[i]), prefixLength: 64),
                        .init(
                            address: .v6(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(i) << 16, low: 1)),
                            prefixLength: 64),
                    ])
        }
    }

    /// Configured, and past the first updates.
    @discardableResult
    func begin() -> Self {
        input(.configure(configuration, list))
        run(.seconds(10))
        effects = []
        return self
    }

    @discardableResult
    func input(_ input: RIPInstance.Input) -> [InteriorGatewayEffect] {
        var fresh: [InteriorGatewayEffect] = []
        instance.handle(input, at: now, into: &fresh)
        effects.append(contentsOf: fresh)
        observer(input, fresh)
        return fresh
    }

    /// Lets time pass, timer by timer.
    func run(_ duration: Duration) {
        let end = now + duration
        while let next = instance.nextDeadline, next <= end {
            now = max(now, next)
            input(.time)
        }
        now = end
        input(.time)
    }

    func take() -> [InteriorGatewayEffect] {
        defer { effects = [] }
        return effects
    }

    // MARK: packets in

    static let neighbor = IPv4Address(10, 0, 0, 2)

    @discardableResult
    func receive(
        _ bytes: [UInt8], from source: IPAddress = .v4(Driver.neighbor), on interface: UInt16 = 0, port: UInt16? = nil,
        hopLimit: UInt8 = 255
    ) -> [InteriorGatewayEffect] {
        input(
            .packet(
                ReceivedPacket(
                    interface: InterfaceID(interface), packetProtocol: configuration.version.packetProtocol,
                    source: .ip(source),
                    destination: .ip(configuration.version == .v2 ? RIPInstance.groupIPv4 : RIPInstance.groupIPv6),
                    sourcePort: port ?? configuration.version.port, hopLimit: hopLimit, bytes: bytes)))
    }

    /// A response of version 2 with these routes.
    @discardableResult
    func learn(
        _ routes: [(String, UInt32)], from source: IPv4Address = Driver.neighbor, on interface: UInt16 = 0,
        tag: UInt16 = 0, nextHop: IPv4Address = .any
    ) -> [InteriorGatewayEffect] {
        receive(
            message(2, routes.map { entry($0.0, $0.1, tag: tag, nextHop: nextHop) }), from: .v4(source), on: interface)
    }

    // MARK: what came

    var updates: [RouteUpdate] {
        effects.flatMap { effect -> [RouteUpdate] in
            if case .routes(let updates) = effect { updates } else { [] }
        }
    }
    var packets: [OutgoingPacket] {
        effects.compactMap { effect -> OutgoingPacket? in
            if case .send(let packet) = effect { packet } else { nil }
        }
    }
    var events: [String] {
        effects.compactMap { effect -> String? in
            if case .event(let event) = effect { event.message } else { nil }
        }
    }

    func packets(on interface: UInt16) -> [OutgoingPacket] {
        packets.filter { $0.interface == InterfaceID(interface) }
    }

    func counter(_ reason: RIPDropReason, on interface: UInt16 = 0) -> UInt64 {
        instance.interfaces[Int(interface)].counters[reason]
    }

    func route(_ prefix: String) -> Route? {
        guard let prefix = IPPrefix(prefix), let destination = Destination(prefix, version: configuration.version),
            let number = instance.table.find(destination)
        else { return nil }
        return instance.table[number]
    }

    func offer(_ prefix: String) -> RouteOffer? { updates.last { "\($0.prefix)" == prefix }?.offer }
}

/// An entry of version 2.
func entry(_ prefix: String, _ metric: UInt32, tag: UInt16 = 0, nextHop: IPv4Address = .any) -> RIPv2Entry {
    let p = IPv4Prefix(prefix)!
    return RIPv2Entry(
        family: 2, tag: tag, address: p.address, mask: IPv4Prefix.mask(p.length), nextHop: nextHop, metric: metric)
}

/// A response of RIPv2.
func message(_ version: UInt8, _ entries: [RIPv2Entry], command: UInt8 = RIPFormat.response) -> [UInt8] {
    var w = ByteWriter()
    w.u8(command)
    w.u8(version)
    w.u16(0)
    for entry in entries { entry.write(to: &w) }
    return w.bytes
}

/// A response of RIPng.
func message6(_ entries: [RIPngEntry], command: UInt8 = RIPFormat.response) -> [UInt8] {
    var w = ByteWriter()
    w.u8(command)
    w.u8(1)
    w.u16(0)
    for entry in entries { entry.write(to: &w) }
    return w.bytes
}

func entry6(_ prefix: String, _ metric: UInt8, tag: UInt16 = 0) -> RIPngEntry {
    let p = IPv6Prefix(prefix)!
    return RIPngEntry(address: p.address, tag: tag, length: p.length, metric: metric)
}

func nextHop6(_ address: String) -> RIPngEntry {
    RIPngEntry(address: IPv6Address(address)!, tag: 0, length: 0, metric: 0xff)
}

/// `prefix metric` of each entry of a response, with `via` and `tag` where they are not zero.
func text(_ packet: OutgoingPacket) -> [String] { text(packet.bytes, packet.packetProtocol) }

func text(_ bytes: [UInt8], _ packetProtocol: PacketProtocol = .rip) -> [String] {
    var reader = ByteReader(bytes.span.bytes.extracting(4..<bytes.count))
    var lines: [String] = []
    var hop = ""
    while !reader.isAtEnd {
        if packetProtocol == .rip {
            guard let e = try? RIPv2Entry.read(&reader) else { break }
            guard e.family == 2 || e.family == 0 else { continue }
            var line = e.family == 0 ? "whole" : "\(e.address)/\(e.maskLength ?? 99)"
            line += " \(e.metric)"
            if e.nextHop != .any { line += " via \(e.nextHop)" }
            if e.tag != 0 { line += " tag \(e.tag)" }
            lines.append(line)
        } else {
            guard let e = try? RIPngEntry.read(&reader) else { break }
            if e.metric == 0xff {
                hop = e.address == .any ? "" : " via \(e.address)"
                continue
            }
            lines.append("\(e.address)/\(e.length) \(e.metric)" + hop + (e.tag == 0 ? "" : " tag \(e.tag)"))
        }
    }
    return lines
}
