import BGP
import Machine
import Policy
import Records
import Routing
import Wire

@testable import Engine

/// An engine with a simple speaker on each of its connections: enough of BGP to bring sessions up and to read what the
/// engine says, written apart from the codec under test.
final class EngineFixture {
    var engine: Engine
    var index = LogIndex.zero
    var now = Instant(nanoseconds: 1_000_000_000)
    /// Every effect so far, in words, in order.
    var log: [String] = []
    /// Octets sent on each connection, by the connection's number / 2 - 1.
    var sent: [[UInt8]] = []
    /// Every record so far.
    var records: [Record] = []
    /// Records at which the forwarding table was said to have the first routes.
    var firstRoutes: [LogIndex] = []
    /// What the updates of the forwarding table amount to.
    var kernel = KernelTable()

    static let routerAddress = IPv4Address(192, 0, 2, 1)
    static func peerAddress(_ n: Int) -> IPv4Address { IPv4Address(192, 0, 2, UInt8(10 + n)) }
    static func id(_ n: Int) -> ConnectionID { ConnectionID(UInt32(2 + 2 * n)) }

    init(seed: UInt64 = 7) { engine = Engine(seed: seed) }

    static func configuration(peers: Int, _ change: (inout RouterConfiguration) -> Void = { _ in }) -> RouterConfiguration {
        var bgp = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: routerAddress.raw))
        for n in 0..<peers {
            var neighbor = NeighborConfiguration(address: .v4(peerAddress(n)), remoteAS: ASNumber(65001 + UInt32(n)))
            neighbor.passive = true
            neighbor.importPolicies = ["all"]
            neighbor.exportPolicies = ["all"]
            bgp.neighbors.append(neighbor)
        }
        var configuration = RouterConfiguration(
            interfaces: [
                InterfaceConfiguration(
                    name: "lan", virtualMAC: MACAddress(raw: 0x5e00_0101),
                    addresses: [.init(address: .v4(routerAddress), prefixLength: 24)])
            ], bgp: bgp)
        configuration.definitions = PolicyDefinitions(policies: [
            PolicyConfiguration(name: "all", statements: [], otherwise: .accept)
        ])
        change(&configuration)
        return configuration
    }

    func configure(_ configuration: RouterConfiguration, revision: UInt64 = 1) throws {
        apply(.configure(revision: revision, try configuration.encoded()))
    }

    func apply(_ body: RecordBody) {
        index = index.next
        now = now + .microseconds(100)
        let record = Record(index: index, time: now, body: body)
        records.append(record)
        guard case .applied(_, let effects, let fib, _, _) = engine.perform(.apply([record])) else { return }
        kernel.take(fib)
        if fib.hasFirstRoutes { firstRoutes.append(index) }
        for effect in effects {
            log.append(Self.text(effect))
            // Connections that the engine asked for have odd numbers, and no neighbour of ours.
            guard case .tcpSend(let id, let slice) = effect.effect, id.value & 1 == 0 else { continue }
            let place = Int(id.value) / 2 - 1
            while sent.count <= place { sent.append([]) }
            sent[place] += slice
        }
    }

    static func text(_ effect: IndexedEffect) -> String {
        if case .tcpSend(let id, let slice) = effect.effect {
            return "\(effect.index) send \(id) \(slice.map { String($0, radix: 16) }.joined(separator: " "))"
        }
        return "\(effect.index) \(effect.effect)"
    }

    func pass(_ duration: Duration) {
        let end = now + duration
        while let deadline = engine.nextDeadline, deadline <= end {
            now = max(now, deadline)
            apply(.time)
        }
        now = max(now, end)
        apply(.time)
    }

    /// - Parameter place: of the connection, if the neighbour has had one before.
    func establish(_ n: Int, on place: Int? = nil) {
        let tuple = ConnectionTuple(
            interface: InterfaceID(0), local: .v4(Self.routerAddress), localPort: 179, remote: .v4(Self.peerAddress(n)),
            remotePort: 40000)
        apply(
            .tcpAccepted(
                Self.id(place ?? n),
                ConnectionIdentity(
                    tuple: tuple, initialSendSequence: 1, initialReceiveSequence: 1, peerMaximumSegmentSize: 1460,
                    peerWindowShift: 7, windowShift: 7, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 0,
                    options: TransportOptions())))
        let capabilities: [UInt8] = [1, 4, 0, 1, 0, 1, 65, 4] + word(65001 + UInt32(n))
        receive(
            place ?? n,
            message(
                1,
                [4] + half(65001 + n) + half(90) + word(Self.peerAddress(n).raw) + [
                    UInt8(capabilities.count + 2), 2, UInt8(capabilities.count),
                ] + capabilities)
                + message(4, []))
    }

    func receive(_ n: Int, _ bytes: [UInt8]) {
        apply(.tcpReceived(Self.id(n), bytes: bytes, peerTimestamp: 0))
    }

    func announce(_ n: Int, _ prefix: IPv4Prefix, tail: [UInt32] = [], nextHop: IPv4Address? = nil, on place: Int? = nil) {
        receive(place ?? n, announcement(n, prefix, tail: tail, nextHop: nextHop))
    }

    func announcement(_ n: Int, _ prefix: IPv4Prefix, tail: [UInt32] = [], nextHop: IPv4Address? = nil) -> [UInt8] {
        let path = [65001 + UInt32(n)] + tail
        let attributes: [UInt8] =
            [0x40, 1, 1, 0, 0x40, 2, UInt8(2 + 4 * path.count), 2, UInt8(path.count)] + path.flatMap(word)
            + [0x40, 3, 4] + word((nextHop ?? Self.peerAddress(n)).raw)
        return message(2, half(0) + half(attributes.count) + attributes + nlri(prefix))
    }

    func withdraw(_ n: Int, _ prefix: IPv4Prefix) {
        receive(n, message(2, half(nlri(prefix).count) + nlri(prefix) + half(0)))
    }

    /// Prefixes that connection `n` has been told and not untold, by a reader of its own.
    func view(_ n: Int) -> [IPv4Prefix] {
        var held: [IPv4Prefix] = []
        guard n < sent.count else { return [] }
        let bytes = sent[n]
        var at = 0
        while at + 19 <= bytes.count {
            let length = Int(bytes[at + 16]) << 8 | Int(bytes[at + 17])
            if bytes[at + 18] == 2 {
                let withdrawn = Int(bytes[at + 19]) << 8 | Int(bytes[at + 20])
                let attributes = Int(bytes[at + 21 + withdrawn]) << 8 | Int(bytes[at + 22 + withdrawn])
                let gone = prefixes(bytes[(at + 21)..<(at + 21 + withdrawn)])
                held.removeAll { gone.contains($0) }
                for prefix in prefixes(bytes[(at + 23 + withdrawn + attributes)..<(at + length)]) where !held.contains(prefix) {
                    held.append(prefix)
                }
            }
            at += length
        }
        return held.sorted()
    }

    /// Codes of the NOTIFICATIONs that connection `n` was sent.
    func notifications(_ n: Int) -> [[UInt8]] {
        guard n < sent.count else { return [] }
        var found: [[UInt8]] = []
        var at = 0
        while at + 19 <= sent[n].count {
            let length = Int(sent[n][at + 16]) << 8 | Int(sent[n][at + 17])
            if sent[n][at + 18] == 3 { found.append(Array(sent[n][(at + 19)..<(at + 21)])) }
            at += length
        }
        return found
    }

    private func prefixes(_ bytes: ArraySlice<UInt8>) -> [IPv4Prefix] {
        var result: [IPv4Prefix] = []
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let octets = (Int(bytes[at]) + 7) / 8
            let raw = (0..<4).reduce(UInt32(0)) { $0 << 8 | ($1 < octets ? UInt32(bytes[at + 1 + $1]) : 0) }
            result.append(IPv4Prefix(IPv4Address(raw: raw), bytes[at]))
            at += 1 + octets
        }
        return result
    }

    func message(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 255, count: 16) + half(body.count + 19) + [type] + body
    }
    func half(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }
    func nlri(_ prefix: IPv4Prefix) -> [UInt8] {
        [prefix.length] + word(prefix.address.raw).prefix((Int(prefix.length) + 7) / 8)
    }
}

/// What a kernel holds that was told every update of the forwarding table.
struct KernelTable: Equatable {
    var groups: [UInt32: [FIBNextHop]] = [:]
    var ipv4: [IPv4Prefix: UInt32] = [:]
    var ipv6: [IPv6Prefix: UInt32] = [:]
    /// Routes of groups nobody knows, groups taken away from under their routes.
    var faults = 0

    mutating func take(_ update: FIBUpdate) {
        if update.isComplete { self = KernelTable() }
        for group in update.groups { groups[group.id] = group.nextHops }
        for route in update.ipv4 { ipv4[route.prefix] = known(route.group) }
        for route in update.ipv6 { ipv6[route.prefix] = known(route.group) }
        for id in update.removedGroups {
            if ipv4.values.contains(id) || ipv6.values.contains(id) { faults += 1 }
            groups[id] = nil
        }
    }

    private mutating func known(_ group: UInt32) -> UInt32? {
        if group != 0, groups[group] == nil { faults += 1 }
        return group == 0 ? nil : group
    }
}
