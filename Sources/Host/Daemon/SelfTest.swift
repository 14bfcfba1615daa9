import CHost
import Configuration
import Foundation
import LineCard
import Machine
import Records
import Wire

/// What a controller looks at before it begins (DESIGN §8, §10): each thing that is missing gets a sentence that says
/// what it is, where, and what helps.
struct SelfTest {
    struct Finding: Equatable {
        /// Whether the controller cannot serve with it.
        var isFatal: Bool
        var message: String
    }
    /// The facts, gathered by `survey` and judged by `findings`, so that the judgement can be tested without root.
    struct Facts {
        struct Device {
            var device: String
            /// IFF_* flags, or a negative errno.
            var flags: Int32
            var mtu: Int32
            /// Why libpcap cannot open it.
            var openFailure: String?
        }
        var hasRawCapability = true
        var hasAdminCapability = true
        var devices: [Device] = []
        /// Why our address on the redundancy link cannot be used.
        var redundancyFailure: String?
        var isForwarding = false
        /// The guard rule is there, or what is missing.
        var guardFailure: String?
        var datastoreFailure: String?
        /// What the kernel lacks to forward for the router.
        var forwardingFailures: [String] = []
        /// Seconds since 1970.
        var timeOfDay: Double = 2e9
        /// The largest IP MTU that an interface of the router has on each device.
        var mtuWanted: [String: UInt16] = [:]
    }

    static func findings(_ facts: Facts, guard: ControllerFile.Guard) -> [Finding] {
        var list: [Finding] = []
        func fatal(_ text: String) { list.append(Finding(isFatal: true, message: text)) }
        func doubtful(_ text: String) { list.append(Finding(isFatal: false, message: text)) }

        if !facts.hasRawCapability {
            fatal(
                "CAP_NET_RAW is missing: frames can be neither captured nor sent; run as root, or: "
                    + "setcap cap_net_raw,cap_net_admin+ep $(command -v lockstepd)")
        }
        if !facts.hasAdminCapability {
            fatal("CAP_NET_ADMIN is missing: a device cannot be put into promiscuous mode, which the virtual MAC needs")
        }
        for device in facts.devices {
            if device.flags < 0 {
                fatal("device \(device.device) does not exist here; see: ip link show")
                continue
            }
            if device.flags & Int32(IFF_UP) == 0 {
                doubtful("device \(device.device) is down; run: ip link set \(device.device) up")
            } else if device.flags & Int32(IFF_RUNNING) == 0 {
                doubtful("device \(device.device) has no carrier")
            }
            if let reason = device.openFailure, facts.hasRawCapability { fatal("device \(device.device): \(reason)") }
            if let wanted = facts.mtuWanted[device.device], device.mtu >= 0, device.mtu < Int32(wanted) {
                doubtful(
                    "device \(device.device) has MTU \(device.mtu), the router's interface on it \(wanted): "
                        + "large packets will not leave; run: ip link set \(device.device) mtu \(wanted)")
            }
        }
        // The twin may be dead, and this the controller that must serve: it starts, and tries the link again and again.
        if let reason = facts.redundancyFailure { doubtful(reason) }
        if facts.isForwarding, `guard` != .ignore, let reason = facts.guardFailure {
            fatal(
                "ip_forward is 1 and \(reason). Without a rule this host forwards packets for the router's own addresses "
                    + "back to the LAN. Say 'guard: install' in the controller file, or 'guard: ignore' if something else drops them"
            )
        }
        for reason in facts.forwardingFailures where facts.hasAdminCapability { fatal(reason) }
        if let reason = facts.datastoreFailure { doubtful(reason) }
        if facts.timeOfDay < 1_700_000_000 {
            doubtful("the clock says \(Date(timeIntervalSince1970: facts.timeOfDay)): events will carry wrong times")
        }
        return list
    }

    static func survey(_ file: ControllerFile, interfaces: [InterfaceConfiguration]) -> Facts {
        var facts = Facts()
        facts.hasRawCapability = chost_has_capability(13)
        facts.hasAdminCapability = chost_has_capability(12)
        for binding in file.interfaces where !facts.devices.contains(where: { $0.device == binding.device }) {
            var device = Facts.Device(
                device: binding.device, flags: chost_interface_flags(binding.device),
                mtu: chost_interface_mtu(binding.device), openFailure: nil)
            if device.flags >= 0, facts.hasRawCapability {
                do { _ = try PacketPort(device: binding.device, bufferSize: 1 << 20) } catch {
                    device.openFailure = (error as? PacketPort.Failure)?.message ?? "\(error)"
                }
            }
            facts.devices.append(device)
        }
        for interface in interfaces {
            guard !interface.isLoopback, let device = file.device(for: interface.name) else { continue }
            facts.mtuWanted[device] = max(facts.mtuWanted[device] ?? 0, interface.mtu)
        }
        if let redundancy = file.redundancy { facts.redundancyFailure = bindFailure(redundancy.local) }
        facts.isForwarding = isForwarding
        let own = interfaces.flatMap { $0.addresses.map(\.address) }
        // Where the kernel forwards for the router, the gate's tables are the guard.
        if facts.isForwarding, file.guard != .ignore, file.forwarding.mode != .kernel, !own.isEmpty {
            facts.guardFailure = GuardRule.missing(for: own)
        }
        if file.forwarding.mode == .kernel { facts.forwardingFailures = ForwardingProbe.failures() }
        facts.datastoreFailure = datastoreFailure(file.datastore)
        facts.timeOfDay = Date().timeIntervalSince1970
        return facts
    }

    private static func bindFailure(_ address: IPAddress) -> String? {
        do {
            let fd = try Sockets.make(SOCK_STREAM, address)
            defer { close(fd) }
            try Sockets.bind(fd, address, 0)
            return nil
        } catch {
            let code = (error as? SystemError)?.code
            return code == EADDRNOTAVAIL
                ? "\(address), our address on the redundancy link, is on no device of this host; see 'redundancy: local'"
                : "\(address), our address on the redundancy link, cannot be used: \(error)"
        }
    }

    private static var isForwarding: Bool {
        ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"].contains { path in
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return false }
            return text.first == "1"
        }
    }

    private static func datastoreFailure(_ path: String) -> String? {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        if !FileManager.default.fileExists(atPath: directory) {
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o750])
            } catch {
                return "the datastore's directory \(directory) cannot be made: \(error.localizedDescription)"
            }
        }
        if access(directory, W_OK) != 0 {
            return "the datastore's directory \(directory) cannot be written: \(SystemError("access")); "
                + "configuration and events will not survive this process"
        }
        return nil
    }

    /// Asks the segments whether somebody else already answers for the router's addresses (RFC 5227 §2.1.1). The twin may:
    /// it answers with the virtual MAC.
    static func conflicts(_ file: ControllerFile, interfaces: [InterfaceConfiguration]) -> [String] {
        guard !interfaces.isEmpty, let poller = try? Poller() else { return [] }
        var card = LineCard(seed: UInt64.random(in: 1 ... .max))
        var ports: [(port: PacketPort, interface: InterfaceID)] = []
        for (i, interface) in interfaces.enumerated() {
            guard !interface.isLoopback, let device = file.device(for: interface.name),
                let port = try? PacketPort(device: device, bufferSize: 1 << 20)
            else { continue }
            try? poller.add(port.fd, token: UInt64(ports.count))
            ports.append((port, InterfaceID(UInt16(i))))
        }
        var effects: [LineCardEffect] = []
        var result: [String]?
        for entry in ports { card.handle(.link(entry.interface, isUp: true), at: monotonicNow(), into: &effects) }
        card.handle(.probeAddresses(interfaces), at: monotonicNow(), into: &effects)
        let end = monotonicNow() + .seconds(3)
        while result == nil, monotonicNow() < end {
            for effect in effects {
                switch effect {
                case .transmit(let interface, let frame): ports.first { $0.interface == interface }?.port.sendNow(frame)
                case .probeResult(let conflicts):
                    result = conflicts.filter { conflict in
                        !interfaces.contains { $0.virtualMAC == conflict.owner }
                    }.map { conflict in
                        let name =
                            Int(conflict.interface.value) < interfaces.count
                            ? interfaces[Int(conflict.interface.value)].name : "\(conflict.interface)"
                        return "\(conflict.owner) on interface \(name) already answers for \(conflict.address)"
                    }
                default: break
                }
            }
            effects.removeAll()
            let wait = max(0, ((card.nextDeadline ?? end) - monotonicNow()).inMilliseconds)
            var ready: [Int] = []
            poller.wait(milliseconds: Int32(clamping: min(wait + 1, 200))) { ready.append(Int($0.token)) }
            for i in ready {
                _ = try? ports[i].port.receive(limit: 256, octets: .max) { frame in
                    card.receive(frame, on: ports[i].interface, at: monotonicNow(), into: &effects)
                }
            }
            card.handle(.time, at: monotonicNow(), into: &effects)
        }
        return result ?? []
    }
}

/// The rule that keeps the host from forwarding what is addressed to the router itself (DESIGN §10).
enum GuardRule {
    static let table = "lockstep"

    /// `nil` when every address is dropped by our table; else what is missing.
    static func missing(for addresses: [IPAddress]) -> String? {
        guard let listing = run(["list", "table", "inet", table]) else {
            return "there is no nftables table 'inet \(table)' (or nft is not installed)"
        }
        return missing(for: addresses, in: listing)
    }

    static func missing(for addresses: [IPAddress], in listing: String) -> String? {
        guard listing.contains("drop") else { return "the nftables table 'inet \(table)' drops nothing" }
        let words = Set(listing.split { " ,{}\n\t".contains($0) }.map(String.init))
        let absent = addresses.filter { !words.contains($0.description) }
        return absent.isEmpty
            ? nil
            : "no rule drops what is forwarded to \(absent.map(\.description).joined(separator: ", "))"
    }

    static func text(for addresses: [IPAddress]) -> String {
        let v4 = addresses.filter { $0.family == .ipv4 }.map(\.description).joined(separator: ", ")
        let v6 = addresses.filter { $0.family == .ipv6 }.map(\.description).joined(separator: ", ")
        var lines = [
            "table inet \(table)", "delete table inet \(table)", "table inet \(table) {", "  chain forward {",
            "    type filter hook forward priority -200; policy accept;",
        ]
        if !v4.isEmpty { lines.append("    ip daddr { \(v4) } drop") }
        if !v6.isEmpty { lines.append("    ip6 daddr { \(v6) } drop") }
        return (lines + ["  }", "}"]).joined(separator: "\n") + "\n"
    }

    /// Puts the table in place, replacing the one before. Returns why it could not be.
    static func install(for addresses: [IPAddress]) -> String? {
        let file = NSTemporaryDirectory() + "/lockstep-guard-\(getpid()).nft"
        defer { unlink(file) }
        guard (try? text(for: addresses).write(toFile: file, atomically: true, encoding: .utf8)) != nil else {
            return "\(file) cannot be written"
        }
        return run(["-f", file]) == nil ? "nft does not take the guard rule (is nftables installed?)" : nil
    }

    private static func run(_ arguments: [String]) -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["nft"] + arguments
        process.environment = ["PATH": "/usr/sbin:/sbin:/usr/bin:/bin"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
    }
}
