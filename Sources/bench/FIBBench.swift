import Engine
import Foundation
import Machine
import Records
import Routing
import Wire

/// A next hop is lost with a full table behind it, for which another neighbour has routes as well: how long until the
/// forwarding table's update is out, and how much is in it.
struct FIBBench {
    struct Result: Codable {
        var routes = 0
        /// CPU per route for the second table, which brings a backup to each prefix.
        var microsecondsPerBackupRoute = 0.0
        var lossMilliseconds = 0.0
        var groupsInUpdate = 0
        var routesInUpdate = 0
        /// The longest record after that, while BGP decides the routes again.
        var longestRecordMilliseconds = 0.0
        /// CPU until every prefix was decided again.
        var decidedMilliseconds = 0.0
        /// Routes that changed their group until then.
        var laterRoutes = 0
    }

    static func run(routes: Int) throws -> Result {
        var result = Result()
        let lost = IPv4Address(198, 19, 0, 10)
        let first = BenchTable(generated: routes, peerAS: 65001, nextHop: lost.raw)
        let second = BenchTable(generated: routes, peerAS: 65002, nextHop: EngineBench.address(1).raw)
        result.routes = first.routeCount
        var engine = Engine(seed: 1)
        var driver = EngineBench.Driver()
        var configuration = EngineBench.configuration(peers: 2)
        configuration.interfaces.append(
            InterfaceConfiguration(
                name: "far", virtualMAC: MACAddress(raw: 0x5e00_0102),
                addresses: [.init(address: .v4(IPv4Address(198, 19, 0, 1)), prefixLength: 16)]))
        // The first table is preferred by its source's number alone: paths of both are of one length.
        driver.apply(.configure(revision: 1, try configuration.encoded()), &engine)
        for number in 0...1 { driver.connect(number, &engine) }
        driver.settle(&engine)
        for (number, table) in [first, second].enumerated() {
            let start = EngineBench.cpuSeconds()
            var record: [UInt8] = []
            for message in table.messages {
                if record.count + message.count > 65_536 {
                    driver.receive(number, record, &engine)
                    record.removeAll(keepingCapacity: true)
                }
                record += message
            }
            driver.receive(number, record, &engine)
            driver.settle(&engine)
            result.microsecondsPerBackupRoute = (EngineBench.cpuSeconds() - start) * 1e6 / Double(table.routeCount)
        }

        driver.longest = 0
        driver.apply(.interfaceState(InterfaceID(1), isUp: false), &engine)
        result.lossMilliseconds = driver.longest * 1e3
        result.groupsInUpdate = driver.fib.groups.count
        result.routesInUpdate = driver.fib.ipv4.count
        let changed = driver.fibRoutes
        driver.longest = 0
        let start = EngineBench.cpuSeconds()
        driver.settle(&engine)
        result.decidedMilliseconds = (EngineBench.cpuSeconds() - start) * 1e3
        result.longestRecordMilliseconds = driver.longest * 1e3
        result.laterRoutes = driver.fibRoutes - changed
        return result
    }
}
