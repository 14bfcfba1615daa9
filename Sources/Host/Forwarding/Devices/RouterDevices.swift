import Glibc
import Machine
import Records
import Wire

/// The kernel's devices of the router: a macvlan with the virtual MAC for each interface, on the device that carries
/// it (on a VLAN of it where the interface is tagged), with the router's addresses.
///
/// Private macvlans: the router's interfaces have nothing to say to each other or to the host past the wire. The MAC
/// gets into the device's own filter, so the kernel's part needs no promiscuous mode.
///
/// Devices carry an alias that names pair, controller and interface. Those of a life before are kept if they are
/// right, so that the routes over them stay, and removed if not. Names are made so that two controllers in one
/// namespace do not meet.
final class RouterDevices {
    struct Settings: Sendable, Hashable {
        var pair: String
        /// `a` or `b`
        var controller: String
        /// Interface of the router and device of this host.
        var bindings: [Binding]
        /// Of the FIB; another one than main gets a rule for each device.
        var table: UInt32 = 254
        struct Binding: Sendable, Hashable {
            var name: String
            var device: String
        }
    }
    struct Made: Equatable {
        var name: String
        var index: UInt32
        var isUp: Bool
    }
    private struct Link {
        var index: UInt32 = 0
        var parent: UInt32 = 0
        var flags: UInt32 = 0
        var mtu: UInt32 = 0
        var name = "", alias = "", kind = ""
        var mac = MACAddress(raw: 0)
        var isRunning: Bool { flags & LinkAttribute.isUp != 0 && flags & LinkAttribute.isRunning != 0 }
    }

    let settings: Settings
    private let socket: NetlinkSocket
    private(set) var interfaces: [InterfaceConfiguration] = []
    /// By `InterfaceID`.
    private(set) var made: [Made?] = []
    var events: [Event] = []
    /// What a sysctl of the whole namespace was before we changed it.
    private var changedSysctls: [(path: String, before: String)] = []

    init(_ settings: Settings) throws {
        self.settings = settings
        socket = try NetlinkSocket(receiveBuffer: 1 << 20)
    }

    var devices: [KernelFIB.Device?] { made.map { $0.map { .init(index: $0.index, isUp: $0.isUp) } } }
    var gateContents: PacketGate.Contents {
        var addresses: [IPAddress] = []
        for interface in interfaces {
            addresses += interface.addresses.map(\.address)
            if !interface.isLoopback { addresses.append(.v6(Self.linkLocal(interface.virtualMAC))) }
        }
        return PacketGate.Contents(devices: made.compactMap { $0.map { ($0.index, $0.name) } }, addresses: addresses)
    }

    // MARK: names

    private var aliasPrefix: String { "lockstep \(settings.pair) \(settings.controller) " }
    /// FNV-1a: the same on every start.
    static func hash(_ text: String) -> UInt32 {
        text.utf8.reduce(0x811c_9dc5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
    /// At most 15 octets: what one reads of the interface, and a number that no other controller's has.
    func deviceName(_ interface: String, isVLAN: Bool = false) -> String {
        let digest = Self.hash("\(settings.pair)/\(settings.controller)/\(interface)/\(isVLAN)") & 0xffff
        let digits = String(digest, radix: 16)
        let padding = String(repeating: "0", count: 4 - digits.count)
        return (isVLAN ? "\(interface.prefix(8))-v" : "\(interface.prefix(9))-") + padding + digits
    }
    /// RFC 4291 §2.5.1: the address that the line card answers for as well.
    static func linkLocal(_ mac: MACAddress) -> IPv6Address {
        let high = mac.raw >> 24 ^ 0x02_0000
        return IPv6Address(high: 0xfe80 << 48, low: high << 40 | 0xff_fe00_0000 | mac.raw & 0xff_ffff)
    }

    // MARK: making

    /// Makes what is missing and removes what is not wanted. New devices are still down: the gate comes before `raise`.
    func apply(_ list: [InterfaceConfiguration]) {
        interfaces = list
        var links = dump()
        var wanted: [(interface: Int, alias: String)] = []
        for (i, interface) in list.enumerated() where !interface.isLoopback {
            wanted.append((i, aliasPrefix + interface.name))
        }
        var kept = Set<UInt32>()
        made = Array(repeating: nil, count: list.count)
        for (i, alias) in wanted {
            let interface = list[i]
            guard let binding = settings.bindings.first(where: { $0.name == interface.name }) else { continue }
            guard var parent = links.first(where: { $0.name == binding.device }) else {
                events.append(
                    Event(
                        .alarm, "forwarding", "device \(binding.device) of interface \(interface.name) does not exist"))
                continue
            }
            if interface.vlan != 0 {
                guard let vlan = makeVLAN(interface, on: parent, &links) else { continue }
                kept.insert(vlan.index)
                parent = vlan
            }
            if let known = links.first(where: { $0.alias == alias }), known.parent == parent.index,
                known.kind == "macvlan", known.mac == interface.virtualMAC
            {
                kept.insert(known.index)
                made[i] = Made(name: known.name, index: known.index, isUp: known.isRunning)
                continue
            }
            let name = deviceName(interface.name)
            for old in links where old.alias == alias || old.name == name && old.kind == "macvlan" {
                remove(old.index)
            }
            if let link = makeMACVLAN(interface, alias, on: parent) {
                kept.insert(link.index)
                made[i] = Made(name: link.name, index: link.index, isUp: link.isRunning)
            }
        }
        for link in links where link.alias.hasPrefix(aliasPrefix) && !kept.contains(link.index) { remove(link.index) }
    }

    /// Settings, addresses, up. Call it once the gate stands before the devices.
    func raise() {
        setSysctl("net/ipv4/nexthop_compat_mode", "0")
        for (i, device) in made.enumerated() {
            guard let device else { continue }
            prepare(device.name)
            attempt("device \(device.name)") { () throws(NetlinkSocket.Failure) in
                try socket.request(RouteMessage.newLink) { batch in
                    batch.linkHeader(index: device.index, flags: LinkAttribute.isUp, change: LinkAttribute.isUp)
                }
            }
            setAddresses(of: interfaces[i], device)
            if settings.table != 254 { addRules(device.name) }
        }
        refresh()
    }

    private func makeMACVLAN(_ interface: InterfaceConfiguration, _ alias: String, on parent: Link) -> Link? {
        let name = deviceName(interface.name)
        return make(name, alias, "of interface \(interface.name)") { batch in
            batch.attribute(LinkAttribute.link, parent.index)
            batch.attribute(
                LinkAttribute.address,
                bytes: (0..<6).map {
                    UInt8(truncatingIfNeeded: interface.virtualMAC.raw >> UInt64(40 - 8 * $0))
                })
            if parent.mtu > 0 { batch.attribute(LinkAttribute.mtu, min(UInt32(interface.mtu), parent.mtu)) }
            batch.linkInfo("macvlan") { $0.attribute(LinkAttribute.macvlanMode, LinkAttribute.macvlanPrivate) }
        }
    }

    private func makeVLAN(_ interface: InterfaceConfiguration, on parent: Link, _ links: inout [Link]) -> Link? {
        let alias = aliasPrefix + "vlan \(parent.name) \(interface.vlan)"
        if let known = links.first(where: { $0.alias == alias && $0.parent == parent.index }) { return known }
        let name = deviceName(interface.name, isVLAN: true)
        let link = make(name, alias, "of VLAN \(interface.vlan) on \(parent.name)") { batch in
            batch.attribute(LinkAttribute.link, parent.index)
            batch.linkInfo("vlan") { $0.attribute(LinkAttribute.vlanID, interface.vlan) }
        }
        guard let link else { return nil }
        // It is only a way for the macvlan; nothing of the host speaks on it.
        _ = Self.write("net/ipv6/conf/\(link.name)/disable_ipv6", "1")
        attempt("device \(link.name)") { () throws(NetlinkSocket.Failure) in
            try socket.request(RouteMessage.newLink) { batch in
                batch.linkHeader(index: link.index, flags: LinkAttribute.isUp, change: LinkAttribute.isUp)
            }
        }
        links.append(link)
        return link
    }

    private func make(
        _ name: String, _ alias: String, _ purpose: String, _ build: (NetlinkBatch) -> Void
    ) -> Link? {
        do {
            try socket.request(RouteMessage.newLink, flags: NetlinkFlag.create | NetlinkFlag.exclusive) { batch in
                batch.linkHeader()
                batch.attribute(LinkAttribute.name, text: name)
                build(batch)
            }
            guard let link = dump().first(where: { $0.name == name }) else { return nil }
            try socket.request(RouteMessage.newLink) { batch in
                batch.linkHeader(index: link.index)
                batch.attribute(LinkAttribute.alias, text: alias)
            }
            return link
        } catch {
            let hint = error.code == EOPNOTSUPP ? "; the kernel lacks this kind of device (modprobe macvlan 8021q)" : ""
            events.append(Event(.alarm, "forwarding", "the device \(name) \(purpose) cannot be made: \(error)\(hint)"))
            return nil
        }
    }

    private func remove(_ index: UInt32) {
        _ = try? socket.request(RouteMessage.deleteLink, { $0.linkHeader(index: index) })
    }

    private func attempt(_ what: String, _ body: () throws(NetlinkSocket.Failure) -> Void) {
        do { try body() } catch { events.append(Event(.alarm, "forwarding", "\(what): \(error)")) }
    }

    // MARK: settings of a device

    private func prepare(_ name: String) {
        let four = "net/ipv4/conf/\(name)/", six = "net/ipv6/conf/\(name)/"
        var refused: [String] = []
        for (path, value) in [
            // Forwarding in IPv4 is a matter of the device that a packet comes in by.
            (four + "forwarding", "1"), (four + "rp_filter", "0"), (four + "accept_redirects", "0"),
            (four + "send_redirects", "0"), (four + "arp_ignore", "8"), (four + "arp_announce", "2"),
            (six + "addr_gen_mode", "1"), (six + "accept_ra", "0"), (six + "accept_redirects", "0"),
            (six + "autoconf", "0"), (six + "accept_dad", "0"), (six + "dad_transmits", "0"),
            (six + "router_solicitations", "0"), (six + "forwarding", "1"), (six + "keep_addr_on_down", "1"),
        ] where !Self.write(path, value) { refused.append(path) }
        // One device, where the kernel can (6.17); else all of the namespace.
        if !Self.write(six + "force_forwarding", "1") { setSysctl("net/ipv6/conf/all/forwarding", "1") }
        if !refused.isEmpty {
            events.append(
                Event(
                    .alarm, "forwarding",
                    "settings of device \(name) cannot be written (/proc/sys read-only?): "
                        + refused.joined(separator: ", ")))
        }
        if let all = Self.read("net/ipv4/conf/all/rp_filter"), all == "1" {
            events.append(
                Event(
                    .warning, "forwarding",
                    "net.ipv4.conf.all.rp_filter is 1: packets whose way back leads "
                        + "elsewhere are dropped; run: sysctl -w net.ipv4.conf.all.rp_filter=0"))
        }
    }

    private func setSysctl(_ path: String, _ value: String) {
        guard let before = Self.read(path), before != value, Self.write(path, value) else { return }
        changedSysctls.append((path, before))
        let name = path.split(separator: "/").joined(separator: ".")
        events.append(Event(.notice, "forwarding", "\(name) is \(value) now"))
    }

    static func read(_ path: String) -> String? {
        let fd = open("/proc/sys/" + path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(fd, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(decoding: bytes.prefix(count).prefix { $0 > 32 }, as: UTF8.self)
    }
    static func write(_ path: String, _ value: String) -> Bool {
        let fd = open("/proc/sys/" + path, O_WRONLY | O_CLOEXEC)
        guard fd >= 0 else { return false }
        defer { close(fd) }
        return Glibc.write(fd, value, value.utf8.count) == value.utf8.count
    }

    // MARK: addresses

    private struct Address: Hashable {
        var address: IPAddress
        var length: UInt8
    }

    /// Without routes of the kernel's making: connected networks come from the FIB like all others. IPv6 addresses
    /// are of 128 bits, or the kernel would join the network's anycast address.
    private func setAddresses(of interface: InterfaceConfiguration, _ device: Made) {
        var wanted = interface.addresses.map { own in
            Address(address: own.address, length: own.address.family == .ipv6 ? 128 : own.prefixLength)
        }
        let linkLocal = Address(address: .v6(Self.linkLocal(interface.virtualMAC)), length: 128)
        if !wanted.contains(linkLocal) { wanted.append(linkLocal) }
        var present: [Address] = []
        _ = try? socket.dump(RouteMessage.getAddress, { $0.addressHeader(0, 0, index: 0) }) { message in
            guard message.type == RouteMessage.newAddress, message.load(4, as: UInt32.self) == device.index else {
                return
            }
            let length: UInt8 = message.load(1)
            var local: IPAddress?, other: IPAddress?
            message.attributes(after: 8) { type, value in
                if type == AddressAttribute.local { local = NetlinkReader.address(value) }
                if type == AddressAttribute.address { other = NetlinkReader.address(value) }
            }
            if let address = local ?? other { present.append(Address(address: address, length: length)) }
        }
        for old in present where !wanted.contains(old) {
            _ = try? socket.request(RouteMessage.deleteAddress, { write(old, device.index, to: $0) })
        }
        for new in wanted where !present.contains(new) {
            attempt("address \(new.address) on device \(device.name)") { () throws(NetlinkSocket.Failure) in
                try socket.request(
                    RouteMessage.newAddress, flags: NetlinkFlag.create | NetlinkFlag.replace,
                    { write(new, device.index, to: $0) })
            }
        }
    }

    private func write(_ address: Address, _ index: UInt32, to batch: NetlinkBatch) {
        batch.addressHeader(
            address.address.family == .ipv4 ? KernelFamily.ipv4 : KernelFamily.ipv6, address.length, index: index)
        batch.attribute(AddressAttribute.local, address.address)
        batch.attribute(AddressAttribute.address, address.address)
        batch.attribute(
            AddressAttribute.flags, AddressAttribute.noDuplicateDetection | AddressAttribute.noPrefixRoute)
    }

    // MARK: rules, for another table than main

    private static let rulePriority: UInt32 = 100

    private func addRules(_ name: String) {
        for family in [KernelFamily.ipv4, KernelFamily.ipv6] {
            do {
                try socket.request(
                    RouteMessage.newRule, flags: NetlinkFlag.create | NetlinkFlag.exclusive,
                    { writeRule(family, name, to: $0) })
            } catch {
                guard error.code != EEXIST else { continue }
                events.append(Event(.alarm, "forwarding", "the rule for device \(name): \(error)"))
            }
        }
    }
    private func removeRules(_ name: String) {
        for family in [KernelFamily.ipv4, KernelFamily.ipv6] {
            _ = try? socket.request(RouteMessage.deleteRule, { writeRule(family, name, to: $0) })
        }
    }
    /// struct fib_rule_hdr
    private func writeRule(_ family: UInt8, _ name: String, to batch: NetlinkBatch) {
        batch.u8(family)
        batch.u8(0)
        batch.u16(0)
        batch.u8(settings.table < 256 ? UInt8(settings.table) : 0)
        batch.u16(0)
        batch.u8(RuleAttribute.toTable)
        batch.u32(0)
        batch.attribute(RuleAttribute.table, settings.table)
        batch.attribute(RuleAttribute.priority, Self.rulePriority)
        batch.attribute(RuleAttribute.inputInterface, text: name)
    }

    // MARK: looking

    /// Whether a message about a device concerns one of ours, or one that carries ours.
    func concerns(_ message: borrowing NetlinkMessage) -> Bool {
        let link = Self.link(message)
        return made.contains { $0?.index == link.index } || settings.bindings.contains { $0.device == link.name }
    }

    /// Looks at carriers. Returns whether one of our devices is gone altogether.
    @discardableResult
    func refresh() -> Bool {
        let links = dump()
        var isGone = false
        for i in made.indices {
            guard let device = made[i] else { continue }
            if let link = links.first(where: { $0.index == device.index }) {
                made[i]?.isUp = link.isRunning
            } else {
                made[i] = nil
                isGone = true
            }
        }
        return isGone
    }

    private func dump() -> [Link] {
        var links: [Link] = []
        attempt("the list of devices") { () throws(NetlinkSocket.Failure) in
            try socket.dump(RouteMessage.getLink, { $0.linkHeader() }) { message in
                if message.type == RouteMessage.newLink { links.append(Self.link(message)) }
            }
        }
        return links
    }

    private static func link(_ message: borrowing NetlinkMessage) -> Link {
        var link = Link()
        link.index = message.load(4)
        link.flags = message.load(8)
        message.attributes(after: 16) { type, value in
            switch type {
            case LinkAttribute.name: link.name = NetlinkReader.text(value)
            case LinkAttribute.alias: link.alias = NetlinkReader.text(value)
            case LinkAttribute.link: link.parent = NetlinkReader.load(value, 0)
            case LinkAttribute.mtu: link.mtu = NetlinkReader.load(value, 0)
            case LinkAttribute.address where value.byteCount == 6:
                for i in 0..<6 {
                    let octet: UInt8 = NetlinkReader.load(value, i)
                    link.mac = MACAddress(raw: link.mac.raw << 8 | UInt64(octet))
                }
            case LinkAttribute.info:
                NetlinkReader.attributes(value) { type, value in
                    if type == LinkAttribute.kind { link.kind = NetlinkReader.text(value) }
                }
            default: break
            }
        }
        return link
    }

    // MARK: the end

    func removeAll() {
        for device in made { if let device, settings.table != 254 { removeRules(device.name) } }
        for link in dump() where link.alias.hasPrefix(aliasPrefix) { remove(link.index) }
        for (path, before) in changedSysctls.reversed() { _ = Self.write(path, before) }
        changedSysctls = []
        made = []
    }
}

extension NetlinkBatch {
    /// struct ifinfomsg
    func linkHeader(index: UInt32 = 0, flags: UInt32 = 0, change: UInt32 = 0) {
        u32(0)
        u32(index)
        u32(flags)
        u32(change)
    }
    /// struct ifaddrmsg
    func addressHeader(_ family: UInt8, _ length: UInt8, index: UInt32) {
        u8(family)
        u8(length)
        u16(0)
        u32(index)
    }
    func linkInfo(_ kind: String, _ data: (NetlinkBatch) -> Void) {
        let info = nest(LinkAttribute.info)
        attribute(LinkAttribute.kind, text: kind)
        let at = nest(LinkAttribute.data)
        data(self)
        endNest(at)
        endNest(info)
    }
}
