import Records
import Wire

/// The section `interfaces`.
struct InterfaceText {
    let networks: ConnectedNetworks

    static let addressesMaximum = 64

    var section: Section<InterfaceConfiguration> {
        let name = Kind<String>.name("an interface name", length: 1...15).once { "there is another interface '\($0)'" }
        return Section(
            InterfaceConfiguration(name: "", virtualMAC: MACAddress(raw: 0), addresses: []),
            foreign: ["address": "addresses", "vrid": "virtual-router-id", "device": "it in the controller's own file"]
        ) {
            Setting("name", \.name, name, "Letters, digits, '-', '_', '.', at most 15.").required()
            Setting("loopback", \.hasNoDevice, .flag, "Addresses that belong to no network: no device carries it.")
            Setting(
                "virtual-router-id", \.virtualRouterID, .number(1...255, "a number"),
                "The MAC is 00:00:5e:00:01 and this number (RFC 5798 §7.3).")
            Setting("mac", \.stationMAC, .mac, "Or the MAC itself.")
            Setting("vlan", \.vlan, .number(1...4094, "a VLAN"), "IEEE 802.1Q; 0: untagged.")
            Setting("mtu", \.mtu, .number(1280...9216, "an MTU"), "Octets of IP.")
            addresses
        } check: { interface, fields in
            checkMAC(interface, fields)
        }
    }

    private var addresses: Setting<InterfaceConfiguration> {
        let kind = Kind<InterfaceConfiguration.Address>.interfaceAddress
        var setting = Setting<InterfaceConfiguration>(
            "addresses", \.addresses, .list(atMost: Self.addressesMaximum, kind),
            "With their prefix lengths; one subnet is on one interface only."
        ).required()
        setting.read = { fields, interface in
            guard let list = fields["addresses"]?.list(atMost: Self.addressesMaximum) else { return false }
            if list.isEmpty { fields["addresses"]?.error("at least one address is needed") }
            for field in list {
                guard let address = kind.read(field) else { continue }
                interface.addresses.append(address)
                // Also if something else is wrong with the interface: what lies on its networks is not to blame.
                networks.add(address, of: interface.name.isEmpty ? field.path : interface.name, field)
            }
            return true
        }
        return setting
    }

    private func checkMAC(_ interface: InterfaceConfiguration, _ fields: MappingReader) {
        if interface.isLoopback {
            // No device carries it, so it has no station address.
            for key in ["mac", "virtual-router-id", "vlan"] { fields[key]?.error("a loopback interface has none") }
            return
        }
        switch (fields["mac"], fields["virtual-router-id"]) {
        case (let field?, _?): field.error("'mac' and 'virtual-router-id' exclude each other")
        case (nil, nil): fields.field.error("the virtual MAC is missing; write virtual-router-id: 1 or mac: 02:…")
        default: break
        }
    }
}

extension InterfaceConfiguration {
    fileprivate var hasNoDevice: Bool {
        get { isLoopback }
        set { loopback = newValue ? true : nil }
    }
    /// RFC 5798 §7.3: 00:00:5e:00:01 and the virtual router's number. (Its IPv6 block, 02, is not used: one MAC serves both.)
    fileprivate var virtualRouterID: UInt64? {
        get { (0x0000_5e00_0101...0x0000_5e00_01ff).contains(virtualMAC.raw) && !isLoopback ? virtualMAC.raw & 0xff : nil }
        set { virtualMAC = MACAddress(raw: newValue.map { 0x0000_5e00_0100 | $0 } ?? 0) }
    }
    /// Another one.
    fileprivate var stationMAC: MACAddress? {
        get { isLoopback || virtualRouterID != nil || virtualMAC.raw == 0 ? nil : virtualMAC }
        set { virtualMAC = newValue ?? MACAddress(raw: 0) }
    }
}

extension Kind where Value == MACAddress {
    fileprivate static var mac: Kind {
        Kind("a MAC address") { field in
            guard let text = field.text(1...40, "a MAC address") else { return nil }
            guard let mac = MACAddress(text) else {
                return field.wrong("'\(text)' is no MAC address; write it like 02:4c:53:00:00:01")
            }
            guard !mac.isGroup, mac.raw != 0 else { return field.wrong("\(mac) is not the address of one station") }
            return mac
        }
    }
}

extension Kind where Value == InterfaceConfiguration.Address {
    fileprivate static var interfaceAddress: Kind {
        Kind(
            values: "an address with its prefix length", read: { read($0) },
            text: { YAMLWriter.scalar("\($0.address)/\($0.prefixLength)") })
    }

    private static func read(_ field: Field) -> InterfaceConfiguration.Address? {
        guard let text = field.text(1...60, "an address with its prefix length") else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]), parts.count <= 2 else {
            return field.wrong("'\(text)' is no address; write it like 198.18.0.1/24 or 2001:db8::1/64")
        }
        let bits: UInt8 = address.family == .ipv4 ? 32 : 128
        guard parts.count == 2 else {
            return field.wrong("'\(text)' has no prefix length; write it like \(text)/\(bits == 32 ? 24 : 64)")
        }
        guard let length = UInt8(parts[1]), (1...bits).contains(length), !parts[1].hasPrefix("+") else {
            return field.wrong("the prefix length '\(parts[1])' is not allowed; write a number from 1 to \(bits)")
        }
        switch address {
        case .v4(let v4):
            let mask = IPv4Prefix.mask(length)
            if v4.isMulticast || v4.isLoopback || v4 == .any || v4 == .broadcast {
                return field.wrong("\(address) cannot be a router's address")
            }
            if length < 31, v4.raw & ~mask == 0 {
                return field.wrong("\(address) is the network itself, not an address in it")
            }
            if length < 31, v4.raw | mask == .max {
                return field.wrong("\(address) is the broadcast address of its network")
            }
        case .v6(let v6):
            if v6.isMulticast || v6.isLoopback || v6 == .any { return field.wrong("\(address) cannot be a router's address") }
        }
        return InterfaceConfiguration.Address(address: address, prefixLength: length)
    }
}
