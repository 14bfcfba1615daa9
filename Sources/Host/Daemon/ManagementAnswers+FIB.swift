import Engine
import Management
import Records
import Routing
import Wire

extension ManagementAnswers {
    /// Groups as the engine has them, made from a copy of the tables on the caller's thread.
    func fib() async throws -> FIBView {
        let (ipv4, ipv6, names) = try await engine.inspect { engine in
            (engine.ipv4Routes, engine.ipv6Routes, engine.configuration.interfaces.map(\.name))
        }
        return FIBView(
            groups: Self.groups(ipv4, names) + Self.groups(ipv6, names), ipv4Routes: UInt64(ipv4.count),
            ipv6Routes: UInt64(ipv6.count))
    }

    private static func groups<Key>(_ table: RoutingTable<Key>, _ names: [String]) -> [FIBView.Group] {
        func name(_ id: InterfaceID) -> String { Int(id.value) < names.count ? names[Int(id.value)] : "\(id)" }
        func text(_ nextHop: NextHop) -> String {
            switch nextHop {
            case .connected(let interface): "on \(name(interface))"
            case .gateway(let address): "\(address)"
            case .via(let address, let interface): "\(address) on \(name(interface))"
            case .blackhole: "blackhole"
            }
        }
        return table.groups.map { group in
            FIBView.Group(
                id: group.id, family: Key.family == .ipv4 ? "ipv4" : "ipv6",
                ways: group.resolved.map { way in (way.gateway.map { "\($0) " } ?? "") + "on \(name(way.interface))" },
                nextHops: group.nextHops.map(text), backup: group.backup.map(text), offers: UInt64(group.offers))
        }
    }
}
