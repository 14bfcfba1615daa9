import BGP
import Engine
import Foundation
import Machine
import Policy
import Records
import Routing
import Wire

/// The engine alone, as its thread sees it: records in, effects out. No packets, no second thread.
struct EngineBench {
    struct Result: Codable {
        var routes = 0
        var receivers = 0
        var inputOctets = 0
        var outputOctets = 0
        /// CPU of this process's engine work per route: parse, decide, routing table, and what follows for receivers.
        var microsecondsPerRoute = 0.0
        var longestRecordMilliseconds = 0.0
        var octetsPerRoute = 0.0
        var snapshotCopyMilliseconds = 0.0
        /// The first record after a snapshot was taken pays for the copy of what it writes to.
        var firstRecordAfterSnapshotMilliseconds = 0.0
        var snapshotEncodeMilliseconds = 0.0
        var snapshotRestoreMilliseconds = 0.0
        var snapshotOctets = 0
        var sessionDownMilliseconds = 0.0
    }

    static let routerAddress = IPv4Address(198, 18, 0, 1)

    static func address(_ number: Int) -> IPv4Address { IPv4Address(raw: routerAddress.raw + 10 + UInt32(number)) }

    static func run(_ table: BenchTable, receivers: Int) throws -> Result {
        var result = Result()
        result.routes = table.routeCount
        result.receivers = receivers
        result.inputOctets = table.octets
        let before = residentOctets()
        var engine = Engine(seed: 1)
        var driver = Driver()

        driver.apply(.configure(revision: 1, try configuration(peers: receivers + 1).encoded()), &engine)
        for number in 0...receivers { driver.connect(number, &engine) }
        driver.settle(&engine)

        // Records as the line card makes them: what one burst brought, at most 64 KiB.
        let start = cpuSeconds()
        var record: [UInt8] = []
        for message in table.messages {
            if record.count + message.count > 65_536 {
                driver.receive(0, record, &engine)
                record.removeAll(keepingCapacity: true)
            }
            record += message
        }
        driver.receive(0, record, &engine)
        driver.settle(&engine)
        let spent = cpuSeconds() - start
        result.microsecondsPerRoute = spent * 1e6 / Double(table.routeCount)
        result.outputOctets = driver.sentOctets
        result.longestRecordMilliseconds = driver.longest * 1e3
        result.octetsPerRoute = Double(residentOctets() - before) / Double(table.routeCount)

        var mark = cpuSeconds()
        guard case .snapshot(let snapshot) = engine.perform(.snapshot()) else { return result }
        result.snapshotCopyMilliseconds = (cpuSeconds() - mark) * 1e3
        driver.longest = 0
        driver.receive(0, table.messages[0], &engine)
        result.firstRecordAfterSnapshotMilliseconds = driver.longest * 1e3
        mark = cpuSeconds()
        let bytes = snapshot.encoded()
        result.snapshotEncodeMilliseconds = (cpuSeconds() - mark) * 1e3
        result.snapshotOctets = bytes.count
        var twin = Engine(seed: 2)
        mark = cpuSeconds()
        guard case .restored = twin.perform(.restore(bytes)) else {
            throw BenchTable.Failure(description: "the engine refused its own snapshot")
        }
        result.snapshotRestoreMilliseconds = (cpuSeconds() - mark) * 1e3

        driver.longest = 0
        driver.apply(.tcpClosed(Driver.id(0), .resetByPeer), &engine)
        driver.settle(&engine)
        result.sessionDownMilliseconds = driver.longest * 1e3
        return result
    }

    static func configuration(peers: Int) -> RouterConfiguration {
        var bgp = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: routerAddress.raw))
        for number in 0..<peers {
            var neighbor = NeighborConfiguration(address: .v4(address(number)), remoteAS: ASNumber(65001 + UInt32(number)))
            neighbor.passive = true
            neighbor.importPolicies = ["all"]
            neighbor.exportPolicies = ["all"]
            bgp.neighbors.append(neighbor)
        }
        var configuration = RouterConfiguration(
            interfaces: [
                InterfaceConfiguration(
                    name: "lan", virtualMAC: MACAddress(raw: 0x5e00_0101),
                    addresses: [.init(address: .v4(routerAddress), prefixLength: 16)])
            ], bgp: bgp)
        configuration.definitions = PolicyDefinitions(policies: [
            PolicyConfiguration(name: "all", statements: [], otherwise: .accept)
        ])
        return configuration
    }

    /// Feeds records and stands in for peers that read and acknowledge everything at once.
    struct Driver {
        var index = LogIndex.zero
        var now = Instant.zero
        var deadline: Instant?
        var sentOctets = 0
        var longest = 0.0
        /// Of the newest record.
        var fib = FIBUpdate()
        /// Changes of routes in the forwarding table, in all.
        var fibRoutes = 0
        /// Octets sent on each connection that are not acknowledged yet, and in all.
        private var pending: [(id: ConnectionID, sent: UInt64, acknowledged: UInt64)] = []

        static func id(_ number: Int) -> ConnectionID { ConnectionID(UInt32(2 + 2 * number)) }

        mutating func apply(_ body: RecordBody, _ engine: inout Engine) {
            index = index.next
            now = now + .microseconds(10)
            let start = cpuSeconds()
            let report = engine.perform(.apply([Record(index: index, time: now, body: body)]))
            longest = max(longest, cpuSeconds() - start)
            guard case .applied(_, let effects, let fib, _, let next) = report else { return }
            deadline = next
            self.fib = fib
            fibRoutes += fib.ipv4.count
            for effect in effects {
                guard case .tcpSend(let id, let slice) = effect.effect else { continue }
                sentOctets += slice.count
                let place = Int(id.value) / 2 - 1
                while pending.count <= place { pending.append((Self.id(pending.count), 0, 0)) }
                pending[place].sent += UInt64(slice.count)
            }
        }

        mutating func receive(_ number: Int, _ bytes: [UInt8], _ engine: inout Engine) {
            apply(.tcpReceived(Self.id(number), bytes: bytes, peerTimestamp: 0), &engine)
            acknowledge(&engine)
        }

        private mutating func acknowledge(_ engine: inout Engine) {
            for place in pending.indices where pending[place].sent - pending[place].acknowledged > 32_768 {
                pending[place].acknowledged = pending[place].sent
                apply(.tcpAcknowledged(pending[place].id, offset: pending[place].sent), &engine)
            }
        }

        /// Lets time pass until the engine has nothing more to send.
        mutating func settle(_ engine: inout Engine) {
            var quiet = 0
            while quiet < 20 {
                let before = sentOctets
                for place in pending.indices where pending[place].sent > pending[place].acknowledged {
                    pending[place].acknowledged = pending[place].sent
                    apply(.tcpAcknowledged(pending[place].id, offset: pending[place].sent), &engine)
                }
                now = now + .milliseconds(10)
                apply(.time, &engine)
                quiet = sentOctets == before ? quiet + 1 : 0
            }
        }

        /// A passive session up to ESTABLISHED.
        mutating func connect(_ number: Int, _ engine: inout Engine) {
            let peer = EngineBench.address(number), peerAS = 65001 + UInt32(number)
            let tuple = ConnectionTuple(
                interface: InterfaceID(0), local: .v4(EngineBench.routerAddress), localPort: 179, remote: .v4(peer),
                remotePort: 40000)
            let identity = ConnectionIdentity(
                tuple: tuple, initialSendSequence: 1, initialReceiveSequence: 1, peerMaximumSegmentSize: 1460, peerWindowShift: 7,
                windowShift: 7, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 0, options: TransportOptions())
            apply(.tcpAccepted(Self.id(number), identity), &engine)
            let capabilities: [UInt8] = [1, 4, 0, 1, 0, 1, 65, 4] + BenchTable.word(peerAS)
            let open = BenchTable.message(
                1,
                [4] + BenchTable.half(Int(peerAS)) + BenchTable.half(240) + BenchTable.word(peer.raw)
                    + [UInt8(capabilities.count + 2), 2, UInt8(capabilities.count)] + capabilities)
            receive(number, open + BenchTable.message(4, []), &engine)
        }
    }

    static func cpuSeconds() -> Double {
        var t = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
        return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
    }

    static func residentOctets() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
    }
}
