import BFD
import BGP
import ISIS
import OSPF
import RIP
import Records
import Wire

/// What a configuration would do to something that runs now, and that its author may not have meant.
public struct ConfigurationConsequence: Hashable, Sendable {
    /// Where the configuration says it: `bgp.neighbors`, `bfd`.
    public var path: String
    /// One sentence.
    public var message: String

    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }
}

extension Engine {
    /// What whoever is about to put `new` into force should know beforehand, in the order of the configuration. It is judged
    /// by what is there now, and changes nothing.
    public func consequences(of new: RouterConfiguration) -> [ConfigurationConsequence] { state.consequences(of: new) }
}

extension EngineState {
    func consequences(of new: RouterConfiguration) -> [ConfigurationConsequence] {
        var found: [ConfigurationConsequence] = []
        for excess in new.bgp.map({ streams.bgp.excesses(under: $0) }) ?? [] {
            let what = excess.family.map { "prefixes of \($0)" } ?? "paths"
            let back =
                excess.restartMinutes == 0
                ? "until 'clear bgp \(excess.neighbor)' or a larger limit" : "for \(excess.restartMinutes) minutes"
            found.append(
                ConfigurationConsequence(
                    path: "bgp.neighbors",
                    message: "neighbor \(excess.neighbor) has \(excess.count) \(what), more than the new limit of "
                        + "\(excess.maximum): its session ends at once (Cease/1) and stays down \(back)"))
        }
        for entry in bfd.entries where entry.isUp == true {
            guard let end = bfdEnd(of: entry, under: new) else { continue }
            let clients = entry.interests.map(\.client.name).joined(separator: ", ")
            found.append(
                ConfigurationConsequence(
                    path: "bfd",
                    message: "the session with \(entry.peer.remote) (for \(clients)) \(end): its last packets say AdminDown, for "
                        + "which FRR and BIRD end the BGP session that they watch with it; switch BFD off there first"))
        }
        return found
    }

    /// How the configuration ends a session that is up; `nil`: not, or with the neighbour itself.
    private func bfdEnd(of entry: BFDRegistry.Entry, under new: RouterConfiguration) -> String? {
        let remote = entry.peer.remote
        let name = entry.peer.interface.flatMap { id in
            Int(id.value) < configuration.interfaces.count ? configuration.interfaces[Int(id.value)].name : nil
        }
        var isMeant = false
        for interest in entry.interests {
            switch interest.client {
            case .bgp:
                guard let neighbor = new.bgp?.neighbors.first(where: { $0.address == remote }), !neighbor.isShutdown else {
                    // The BGP session ends anyway.
                    isMeant = true
                    continue
                }
                if neighbor.bfd != nil { return shutdown(of: entry, name, under: new) }
            case .staticRoutes:
                let isWanted = new.staticRoutes.contains { $0.bfd != nil && $0.destination == .nextHop(remote) }
                if isWanted { return shutdown(of: entry, name, under: new) }
            case .interior(let id):
                if isBFDWanted(id, on: name, under: new) { return shutdown(of: entry, name, under: new) }
            }
        }
        return isMeant ? nil : "is no longer wanted"
    }

    private func shutdown(of entry: BFDRegistry.Entry, _ name: String?, under new: RouterConfiguration) -> String? {
        let parameters = (new.bfd ?? BFDConfiguration()).parameters(
            for: entry.peer, interface: name, requested: entry.interests.first { $0.profile != nil }?.profile)
        return parameters.isShutdown && !entry.parameters.isShutdown ? "is shut down" : nil
    }

    private func isBFDWanted(_ id: InteriorGatewayID, on name: String?, under new: RouterConfiguration) -> Bool {
        guard let name else { return false }
        func ospf(_ configuration: OSPFConfiguration?) -> Bool {
            configuration?.interfaces.contains { $0.name == name && $0.bfd && !$0.isPassive } ?? false
        }
        func rip(_ configuration: RIPConfiguration?) -> Bool { configuration?.interface(name)?.bfd ?? false }
        switch id {
        case .ospf: return ospf(new.ospf)
        case .ospfv3: return ospf(new.ospfv3)
        case .ospfv3IPv4: return ospf(new.ospfv3ipv4)
        case .isis:
            return new.isis?.interfaces.contains {
                $0.bfd && Int($0.interface) < new.interfaces.count && new.interfaces[Int($0.interface)].name == name
            } ?? false
        case .rip: return rip(new.rip)
        case .ripng: return rip(new.ripng)
        }
    }
}
