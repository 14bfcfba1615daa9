import Wire

/// What can be said only when the whole file was read: which interface is in which area, and who is passive.
extension FRRReader {
    mutating func finishInterfaces() {
        for name in draft.interfaceNames where draft.interfaces[name]!.addresses.isEmpty {
            draft.note(.changed, 0, "interface \(name)", "it has no address in this file; write it here")
        }
        for (line, statement, prefix, area) in ospfNetworks {
            let names = draft.interfaces(in: prefix)
            if names.isEmpty {
                draft.note(
                    .left, line, statement, "no interface of this file has an address in it; name interfaces under the area")
            }
            for name in names { interfaceSettings.change("ospf", name) { if $0.area == nil { $0.area = area } } }
        }
        for (line, statement, section, prefix) in ripNetworks {
            let names = draft.interfaces(in: prefix)
            if names.isEmpty {
                draft.note(.left, line, statement, "no interface of this file has an address in it; name interfaces")
            }
            for name in names { interfaceSettings.change(section, name) { $0.settings = $0.settings } }
        }
        for (line, statement, address) in ripNeighbors {
            let name = draft.interfaceNames.first { name in
                draft.interfaces[name]!.addresses.contains { text in
                    let parts = text.split(separator: "/")
                    guard let own = parts.first.flatMap({ IPAddress($0) }), let length = parts.last.flatMap({ UInt8($0) }),
                        let other = IPAddress(address)
                    else { return false }
                    return IPPrefix(own, length).contains(other)
                }
            }
            guard let name else {
                draft.note(.left, line, statement, "no interface of this file has its network; name it under an interface")
                continue
            }
            interfaceSettings.change("rip", name) { $0.settings[list: "neighbors"].append(.scalar(address)) }
        }
        for section in ["ospf", "ospfv3"] { finishAreas(section) }
        for section in ["isis", "rip", "ripng"] { finishList(section) }
        if draft.sections["isis"] != nil { finishISIS() }
    }

    private mutating func finishAreas(_ section: String) {
        guard draft.sections[section] != nil else { return }
        if draft.sections[mapping: section]["router-id"] == nil {
            draft.sections[mapping: section]["router-id"] = .scalar(defaultRouterID ?? someRouterID)
        }
        for (name, settings) in interfaceSettings[section] {
            guard let area = settings.area else { continue }
            var interface = Mapping(["name": .scalar(name)])
            for entry in written(settings, section, name).entries { interface[entry.key] = entry.node }
            let id = IPv4Address(area).map { $0.raw <= 0xffff ? String($0.raw) : area } ?? area
            draft.interface(name)
            draft.sections[mapping: section][element: "areas", "id", id][list: "interfaces"].append(.mapping(interface))
        }
    }

    private mutating func finishList(_ section: String) {
        guard draft.sections[section] != nil else { return }
        for (name, settings) in interfaceSettings[section] {
            var interface = Mapping(["name": .scalar(name)])
            for entry in written(settings, section, name).entries { interface[entry.key] = entry.node }
            draft.interface(name)
            draft.sections[mapping: section][list: "interfaces"].append(.mapping(interface))
        }
    }

    private func written(_ settings: FRRInterfaces.Settings, _ section: String, _ name: String) -> Mapping {
        var written = settings.settings
        if written["passive"] == nil, settings.isPassive || interfaceSettings.isPassiveByDefault.contains(section) {
            written["passive"] = Node(true)
        }
        if written["passive"] == .scalar("false") { written["passive"] = nil }
        return written
    }

    private mutating func finishISIS() {
        var section = draft.sections[mapping: "isis"]
        let nets = section[list: "nets"]
        section["nets"] = nil
        section["net"] = nets.count == 1 ? nets[0] : .list(nets)
        if isisFamilies.count == 1 { section["families"] = Node(isisFamilies.sorted()) }
        draft.sections[mapping: "isis"] = section
    }
}
