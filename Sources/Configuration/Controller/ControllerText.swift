import Records
import Wire

/// Reads controller files.
public enum ControllerText {
    /// - Parameters:
    ///   - directory: where relative paths begin; that of the file. Without a slash at its end.
    public static func read(
        _ bytes: [UInt8], file: String, directory: String
    ) -> ConfigurationResult<ControllerFile> {
        let problems = Problems(file: file)
        let section = ControllerSections(directory: directory).file
        var value = section.usual
        let isRead = YAMLTree.parse(bytes, problems).map { tree in
            section.read(Field(tree: tree, path: "", problems: problems), into: &value)
        }
        return ConfigurationResult(isRead == true ? value : nil, problems)
    }
}

/// All that a controller file can say.
struct ControllerSections {
    let directory: String

    var path: Kind<String> { .path(in: directory) }
    /// One key file, or two of which the first is presented and both are accepted.
    var keyFiles: Kind<[String]> {
        let directory = directory
        return Kind(
            values: "a path, or two while it is changed", read: { $0.keyFiles(in: directory) },
            text: { $0.joined(separator: ", ") })
    }

    var file: Section<ControllerFile> {
        Section(
            ControllerFile(controller: .a, interfaces: [], redundancy: nil),
            foreign: [
                "id": "controller", "role": "priority: a number, the higher one becomes active first", "log": "log-level",
                "socket": "management", "preference": "priority", "config": "router",
            ]
        ) {
            Setting("controller", \.controller, .choice(["a": .a, "b": .b]), "Which of the two this is.").required("write a or b")
            Setting("name", \.name, .name("a name"), "For people and logs.")
            Setting("pair", \.pair, .name("a name for the pair"), "Both must say the same.")
            Setting("priority", \.priority, .number(1...255), "When both start at once the higher becomes active; equal: a.")
            Setting(
                "alone", values: Kind<Bool>.flag.values, words: Kind<Bool>.flag.words, "true: no twin, no redundancy channel."
            ) { field, _ in _ = field.flag() }
            interfaces
            Setting("redundancy", in: \.redundancy, "The channel to the twin; must be there unless alone.") { _ in redundancy }
            Setting("arbiter", in: \.arbiterParts, "Who decides which controller is the router (mastership.md).") { _ in arbiter }
            Setting("datastore", \.datastore, path, "The SQLite file; of the name otherwise.")
            Setting("management", \.managementSocket, path, "Unix socket of lockstepctl.")
            Setting("router", \.routerConfiguration, path, "Read when the datastore holds no configuration.")
            Setting(
                "watchdog", \.watchdog, .duration(.milliseconds(20)...(.seconds(60))), "An engine stuck this long is killed.")
            Setting("guard", \.guard, .word, "How the host is kept from answering for the router.")
            Setting("log-level", \.logLevel, .word, "What the daemon's own log has.")
            Setting("memory", in: \.self, "Of the process.") { _ in memory }
            Setting("forwarding", in: \.forwarding, "What the kernel of this host does for the router.") { _ in forwarding }
        } check: { file, fields in
            if fields["name"] == nil { file.name = "\(file.pair)-\(file.controller == .a ? "a" : "b")" }
            if fields["datastore"] == nil { file.datastore = "/var/lib/lockstep/\(file.name).sqlite" }
            let isAlone = fields["alone"]?.scalar == "true"
            if isAlone, let field = fields["redundancy"] {
                field.error("'alone: true' and 'redundancy' exclude each other")
            } else if !isAlone, fields["redundancy"] == nil {
                fields.field.error("'redundancy' is missing; a controller without a twin says 'alone: true'")
            }
            // sun_path, with its terminating zero.
            if file.managementSocket.utf8.count > 107 {
                fields["management"]?.error(
                    "the path of a Unix socket has at most 107 octets, this one \(file.managementSocket.utf8.count)")
            }
        }
    }

    // MARK: interfaces

    private var interfaces: Setting<ControllerFile> {
        Setting("interfaces", values: "ROUTER-INTERFACE: DEVICE", "Which device of this host carries an interface.") {
            field, file in
            if MappingReader(anyKeysOf: field)?.entries.isEmpty == true {
                field.error("at least one interface is needed")
            }
            let section = binding
            for (name, value) in field.named("interface name", length: 1...15) {
                var binding = section.usual
                binding.name = name
                if section.read(value, into: &binding) { file.interfaces.append(binding) }
            }
        }
        .naming { _ in binding }
        .required("write ROUTER-INTERFACE: DEVICE for each")
    }

    private var binding: Section<ControllerFile.InterfaceBinding> {
        // IFNAMSIZ is 16 with the terminating zero; a name has neither '/' nor blanks.
        let device = Kind<String>("the name of a device") { field in
            guard let device = field.text(1...15, "the name of a device") else { return nil }
            guard !device.contains(where: { $0 == "/" || $0.isWhitespace }) else {
                return field.wrong("'\(device)' is no name of a device")
            }
            return device
        }
        return Section(
            ControllerFile.InterfaceBinding(name: "", device: ""),
            foreign: ["dev": "device", "interface": "device", "kind": "lan"],
            short: .init(values: device.values) { field, binding in
                guard let device = device.read(field) else { return false }
                binding.device = device
                return true
            }
        ) {
            Setting("device", \.device, device, "Of this host.").required("the name of a device of this host")
            Setting("lan", \.lan, .word, "On an exchange's or a provider's nobody's heartbeats are welcome.")
            Setting(
                "advertise", \.advertisesExplicitly, .flag,
                "Whether the controllers tell each other of themselves on it; only where lan is private otherwise.")
        }
    }

    // MARK: the host

    private var memory: Section<ControllerFile> {
        Section(ControllerFile(controller: .a, interfaces: [], redundancy: nil)) {
            Setting("warning", \.memoryWarning, .size, "An event when the process is larger.")
            Setting("limit", \.memoryLimit, .size, "The router sheds routes when the process is larger.")
        } check: { file, fields in
            if let warning = file.memoryWarning, let limit = file.memoryLimit, warning > limit {
                fields.field.error("the warning is above the limit")
            }
        }
    }

    private var forwarding: Section<ForwardingConfiguration> {
        let mode = Kind<ForwardingConfiguration.Mode>.word
        return Section(
            ForwardingConfiguration(), foreign: ["proto": "protocol", "priority": "metric"],
            short: .init(values: mode.values) { field, forwarding in
                forwarding.mode = mode.read(field) ?? .memory
                return true
            }
        ) {
            Setting("mode", \.mode, mode, "kernel forwards, memory only keeps the table, none keeps none.")
                .required("write kernel, memory or none")
            Setting("table", \.table, .number(1...UInt32.max), "The kernel's table; 254 is main.")
            Setting("protocol", \.routeProtocol, .number(4...255), "What ip route shows as proto.")
            Setting("metric", \.metric, .number(1...UInt32.max), "Of every route; a lower one of another program wins.")
            Setting(
                "hold", \.hold, .duration(.milliseconds(40)...(.seconds(3600))),
                "How long a dead daemon's kernel goes on: 100ms otherwise; alone, until the next start.")
            Setting(
                "stale-time", \.staleTime, .duration(.seconds(1)...(.seconds(3600))),
                "Routes of a life before are kept so long at most.")
            Setting("keep-on-exit", \.staysOnExit, .flag, "Leave devices and routes behind when told to end.")
        } check: { forwarding, fields in
            // 253 and 255 belong to the kernel.
            if forwarding.table == 255 || forwarding.table == 253 {
                fields["table"]?.error("table \(forwarding.table) belongs to the kernel")
            }
        }
    }

    // MARK: the twin

    private var redundancy: Section<RedundancyConfiguration> {
        let usual = RedundancyConfiguration(local: .v4(.any), peer: .v4(.any), security: .insecure)
        return Section(
            usual,
            foreign: [
                "key": "key-file: PATH, the key itself does not belong here", "listen": "local", "connect": "peer",
            ]
        ) {
            Setting("local", \.local, .address, "Our address on the redundancy link.")
                .required("our address on the redundancy link")
            Setting("peer", \.peer, .address, "The twin's.").required("the twin's address on the redundancy link")
            Setting("port", \.port, .number(1...65534, "a port"), "TCP, the channel.")
            Setting(
                "gasp-port", \.gaspPort, .number(1...65535, "a port"), "UDP, heartbeats and the dying gasp; port + 1 otherwise.")
            Setting("key-file", \.keyFiles, keyFiles, "A shared key: either this, certificates or insecure.")
            Setting("certificates", in: \.certificates, "TLS 1.3, both directions.") { _ in certificates }
            Setting(
                "insecure", values: Kind<Bool>.flag.values, words: Kind<Bool>.flag.words,
                "Anybody on that link can be the twin: only for a cable or a test."
            ) { field, _ in _ = field.flag() }
            Setting("heartbeat", in: \.self, "How a dead twin is found.") { _ in
                Section(usual) {
                    Setting(
                        "interval", \.heartbeatInterval, .duration(.milliseconds(1)...(.seconds(1))), "Between heartbeats.")
                    Setting("multiplier", \.heartbeatMultiplier, .number(2...255), "So many missed ones: the twin is dead.")
                }
            }
            Setting(
                "standby-timeout", \.standbyTimeout, .duration(.milliseconds(10)...(.seconds(10))),
                "How long the active waits for the standby before it goes on alone.")
            Setting(
                "stale-wait", \.staleWait, .duration(.milliseconds(500)...(.seconds(600))),
                "How long a controller that cannot resume the sessions leaves the router to a silent twin.")
        } check: { redundancy, fields in
            if fields["gasp-port"] == nil { redundancy.gaspPort = redundancy.port + 1 }
            if redundancy.local == redundancy.peer { fields["peer"]?.error("the twin cannot have our own address") }
            if redundancy.local.family != redundancy.peer.family {
                fields["peer"]?.error("both addresses must be of one family")
            }
            let given = [
                fields["key-file"] != nil, fields["certificates"] != nil, fields["insecure"]?.scalar == "true",
            ].count { $0 }
            if given != 1 {
                fields.field.error(
                    given == 0
                        ? "the channel is not protected; write key-file, certificates, or insecure: true on purpose"
                        : "write only one of key-file, certificates and insecure")
            }
        }
    }

    private var certificates: Section<Certificates> {
        Section(Certificates()) {
            Setting("certificate", \.certificate, path, "Ours.").required()
            Setting("private-key", \.privateKey, path, "Ours.").required()
            Setting("authority", \.authority, path, "Who signed the twin's.").required()
            Setting(
                "peer-name", \.peerName, .text(1...253, "a name"),
                "The name in the twin's certificate; not checked beyond the authority otherwise.")
        }
    }
}

struct Certificates: Equatable {
    var certificate = "", privateKey = "", authority = ""
    var peerName: String?
}

extension RedundancyConfiguration {
    fileprivate var keyFiles: [String]? {
        get { if case .sharedKey(let files) = security { files } else { nil } }
        set { security = newValue.map { .sharedKey(files: $0) } ?? .insecure }
    }
    fileprivate var certificates: Certificates? {
        get {
            guard case .certificates(let certificate, let key, let authority, let peerName) = security else { return nil }
            return Certificates(certificate: certificate, privateKey: key, authority: authority, peerName: peerName)
        }
        set {
            security =
                newValue.map {
                    .certificates(
                        certificate: $0.certificate, privateKey: $0.privateKey, authority: $0.authority, peerName: $0.peerName)
                } ?? .insecure
        }
    }
}
