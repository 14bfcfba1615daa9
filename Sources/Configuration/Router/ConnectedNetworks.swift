import Records
import Wire

/// The networks that the router's interfaces are on.
final class ConnectedNetworks {
    private var entries: [(address: IPAddress, network: IPPrefix, interface: String)] = []

    /// Notes what cannot be: an address twice, one network on two interfaces.
    func add(_ address: InterfaceConfiguration.Address, of interface: String, _ field: Field) {
        let network = IPPrefix(address.address, address.prefixLength)
        if case .v6(let v6) = address.address, v6.isLinkLocal {
            // Every interface has this network.
        } else if let same = entries.first(where: { $0.address == address.address }) {
            field.error("\(address.address) is an address of interface '\(same.interface)' already")
        } else if let other = entries.first(where: {
            $0.interface != interface && ($0.network.covers(network) || network.covers($0.network))
        }) {
            field.error("\(network) overlaps with \(other.network) of interface '\(other.interface)'")
        }
        entries.append((address.address, network, interface))
    }

    func isOwn(_ address: IPAddress) -> Bool { entries.contains { $0.address == address } }
    func interface(reaching address: IPAddress) -> String? { entries.first { $0.network.contains(address) }?.interface }
    func hasAddress(of family: AddressFamily) -> Bool { entries.contains { $0.address.family == family } }
    var addresses: [IPAddress] { entries.map(\.address) }
    /// "; connected are …"
    func hint(_ family: AddressFamily) -> String {
        let networks = entries.filter { $0.network.family == family }.prefix(4).map { "\($0.network)" }
        return networks.isEmpty
            ? "; no interface has an \(family == .ipv4 ? "IPv4" : "IPv6") address"
            : "; connected: \(networks.joined(separator: ", "))\(entries.count > 4 ? ", …" : "")"
    }
}
