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
        let value = YAMLTree.parse(bytes, problems).flatMap { tree in
            ControllerTextReader(directory: directory).read(Field(tree: tree, path: "", problems: problems))
        }
        return ConfigurationResult(value, problems)
    }

    static let keys = [
        "controller", "name", "pair", "priority", "alone", "interfaces", "redundancy", "arbiter", "datastore", "management",
        "router", "watchdog", "guard", "log-level", "memory", "forwarding",
    ]
}

struct ControllerTextReader {
    let directory: String

    func path(_ field: Field) -> String? { field.path(in: directory) }
    func keyFiles(_ field: Field) -> [String]? { field.keyFiles(in: directory) }

    func read(_ root: Field) -> ControllerFile? {
        guard
            let top = MappingReader(
                root, keys: ControllerText.keys,
                foreign: [
                    "id": "controller", "role": "priority: a number, the higher one becomes active first", "log": "log-level",
                    "socket": "management", "preference": "priority", "config": "router",
                ])
        else { return nil }

        let controller: ControllerID? = top.required("controller", "write a or b").flatMap { field in
            field.choice(["a", "b"]).map { $0 == "a" ? .a : .b }
        }
        let alone = top["alone"]?.flag() ?? false
        let redundancy = top["redundancy"].flatMap { self.redundancy($0) }
        if alone, let field = top["redundancy"] {
            field.error("'alone: true' and 'redundancy' exclude each other")
        } else if !alone, top["redundancy"] == nil {
            root.error("'redundancy' is missing; a controller without a twin says 'alone: true'")
        }
        let interfaces = top.required("interfaces", "write ROUTER-INTERFACE: DEVICE for each").flatMap { self.interfaces($0) }

        var configuration = ControllerFile(
            controller: controller ?? .a, pair: top["pair"]?.name("a name for the pair") ?? "lockstep",
            interfaces: interfaces ?? [], redundancy: redundancy)
        if let name = top["name"]?.name("a name") {
            configuration.name = name
            configuration.datastore = "/var/lib/lockstep/\(name).sqlite"
        }
        if let priority = top["priority"]?.number(1...255 as ClosedRange<UInt8>) { configuration.priority = priority }
        if let field = top["arbiter"], let arbiter = arbiter(field) { configuration.arbiter = arbiter }
        if let field = top["datastore"], let path = path(field) { configuration.datastore = path }
        if let field = top["management"], let path = path(field) {
            // sun_path, with its terminating zero.
            if path.utf8.count > 107 {
                field.error("the path of a Unix socket has at most 107 octets, this one \(path.utf8.count)")
            }
            configuration.managementSocket = path
        }
        if let field = top["router"] { configuration.routerConfiguration = path(field) }
        if let time = top["watchdog"]?.duration(.milliseconds(20)...(.seconds(60))) { configuration.watchdog = time }
        if let word = top["guard"]?.choice(ControllerFile.Guard.allCases.map(\.rawValue)) {
            configuration.guard = ControllerFile.Guard(rawValue: word) ?? .check
        }
        if let word = top["log-level"]?.choice(ControllerFile.LogLevel.allCases.map(\.rawValue)) {
            configuration.logLevel = ControllerFile.LogLevel(rawValue: word) ?? .info
        }
        if let field = top["forwarding"], let forwarding = forwarding(field) { configuration.forwarding = forwarding }
        if let field = top["memory"], let memory = MappingReader(field, keys: ["warning", "limit"]) {
            configuration.memoryWarning = memory["warning"]?.size()
            configuration.memoryLimit = memory["limit"]?.size()
            if let warning = configuration.memoryWarning, let limit = configuration.memoryLimit, warning > limit {
                field.error("the warning is above the limit")
            }
        }
        return configuration
    }

    private func interfaces(_ field: Field) -> [ControllerFile.InterfaceBinding]? {
        guard let mapping = MappingReader(anyKeysOf: field) else { return nil }
        if mapping.entries.isEmpty { return field.wrong("at least one interface is needed") }
        return mapping.entries.compactMap { name, value in
            if let reason = Field.nameProblem(name, 1...15) {
                return value.wrong("'\(name.prefix(40))' is no interface name: \(reason)")
            }
            return binding(name, value)
        }
    }

    /// The device's name, or a mapping with more to say.
    private func binding(_ name: String, _ field: Field) -> ControllerFile.InterfaceBinding? {
        guard field.isMapping else {
            return device(field).map { ControllerFile.InterfaceBinding(name: name, device: $0) }
        }
        guard
            let mapping = MappingReader(
                field, keys: ["device", "lan", "advertise"], foreign: ["dev": "device", "interface": "device", "kind": "lan"])
        else { return nil }
        guard let device = mapping.required("device", "the name of a device of this host").flatMap({ device($0) }) else {
            return nil
        }
        var binding = ControllerFile.InterfaceBinding(name: name, device: device)
        if let word = mapping["lan"]?.choice(ControllerFile.InterfaceBinding.LAN.allCases.map(\.rawValue)) {
            binding.lan = ControllerFile.InterfaceBinding.LAN(rawValue: word) ?? .private
        }
        binding.advertisesExplicitly = mapping["advertise"]?.flag()
        return binding
    }

    private func device(_ field: Field) -> String? {
        // IFNAMSIZ is 16 with the terminating zero; a name has neither '/' nor blanks.
        guard let device = field.text(1...15, "the name of a device") else { return nil }
        guard !device.contains(where: { $0 == "/" || $0.isWhitespace }) else {
            return field.wrong("'\(device)' is no name of a device")
        }
        return device
    }

    /// A word, or a mapping whose `mode` it is.
    private func forwarding(_ field: Field) -> ForwardingConfiguration? {
        var result = ForwardingConfiguration()
        let words = ForwardingConfiguration.Mode.allCases.map(\.rawValue)
        guard field.isMapping else {
            guard let word = field.choice(words) else { return nil }
            result.mode = ForwardingConfiguration.Mode(rawValue: word) ?? .memory
            return result
        }
        guard
            let mapping = MappingReader(
                field, keys: ["mode", "table", "protocol", "metric", "hold", "stale-time", "keep-on-exit"],
                foreign: ["proto": "protocol", "priority": "metric"])
        else { return nil }
        if let word = mapping.required("mode", "write kernel, memory or none").flatMap({ $0.choice(words) }) {
            result.mode = ForwardingConfiguration.Mode(rawValue: word) ?? .memory
        }
        if let table: UInt32 = mapping["table"]?.number(1...UInt32.max) {
            // 253 and 255 belong to the kernel.
            if table == 255 || table == 253 { mapping["table"]?.error("table \(table) belongs to the kernel") }
            result.table = table
        }
        if let number: UInt8 = mapping["protocol"]?.number(4...255) { result.routeProtocol = number }
        if let metric: UInt32 = mapping["metric"]?.number(1...UInt32.max) { result.metric = metric }
        if let hold = mapping["hold"]?.duration(.milliseconds(40)...(.seconds(3600))) { result.hold = hold }
        if let time = mapping["stale-time"]?.duration(.seconds(1)...(.seconds(3600))) { result.staleTime = time }
        if let stays = mapping["keep-on-exit"]?.flag() { result.staysOnExit = stays }
        return result
    }

    private func redundancy(_ field: Field) -> RedundancyConfiguration? {
        let keys = [
            "local", "peer", "port", "gasp-port", "key-file", "certificates", "insecure", "heartbeat", "standby-timeout",
            "stale-wait",
        ]
        guard
            let mapping = MappingReader(
                field, keys: keys,
                foreign: [
                    "key": "key-file: PATH, the key itself does not belong here", "listen": "local", "connect": "peer",
                ])
        else { return nil }
        let local = mapping.required("local", "our address on the redundancy link").flatMap { $0.address() }
        let peer = mapping.required("peer", "the twin's address on the redundancy link").flatMap { $0.address() }
        if let local, let peer {
            if local == peer { mapping["peer"]?.error("the twin cannot have our own address") }
            if local.family != peer.family { mapping["peer"]?.error("both addresses must be of one family") }
        }
        let port = mapping["port"]?.number(1...65534 as ClosedRange<UInt16>, "a port")
        let gaspPort = mapping["gasp-port"]?.number(1...65535 as ClosedRange<UInt16>, "a port")
        var heartbeat: (interval: Duration?, multiplier: UInt8?)
        if let beat = mapping["heartbeat"].flatMap({ MappingReader($0, keys: ["interval", "multiplier"]) }) {
            heartbeat.interval = beat["interval"]?.duration(.milliseconds(1)...(.seconds(1)))
            heartbeat.multiplier = beat["multiplier"]?.number(2...255)
        }
        let timeout = mapping["standby-timeout"]?.duration(.milliseconds(10)...(.seconds(10)))
        let staleWait = mapping["stale-wait"]?.duration(.milliseconds(500)...(.seconds(600)))
        guard let security = security(mapping), let local, let peer else { return nil }
        var result = RedundancyConfiguration(local: local, peer: peer, security: security)
        if let port {
            result.port = port
            result.gaspPort = port + 1
        }
        if let gaspPort { result.gaspPort = gaspPort }
        if let interval = heartbeat.interval { result.heartbeatInterval = interval }
        if let multiplier = heartbeat.multiplier { result.heartbeatMultiplier = multiplier }
        if let timeout { result.standbyTimeout = timeout }
        if let staleWait { result.staleWait = staleWait }
        return result
    }

    private func security(_ mapping: MappingReader) -> RedundancyConfiguration.Security? {
        let isInsecure = mapping["insecure"].map { $0.flag() } ?? false
        guard let isInsecure else { return nil }
        let given = [mapping["key-file"] != nil, mapping["certificates"] != nil, isInsecure].filter { $0 }.count
        guard given == 1 else {
            return mapping.field.wrong(
                given == 0
                    ? "the channel is not protected; write key-file, certificates, or insecure: true on purpose"
                    : "write only one of key-file, certificates and insecure")
        }
        if let file = mapping["key-file"] { return keyFiles(file).map { .sharedKey(files: $0) } }
        guard let field = mapping["certificates"] else { return .insecure }
        guard let names = MappingReader(field, keys: ["certificate", "private-key", "authority", "peer-name"]) else {
            return nil
        }
        let certificate = names.required("certificate").flatMap { path($0) }
        let key = names.required("private-key").flatMap { path($0) }
        let authority = names.required("authority").flatMap { path($0) }
        guard let certificate, let key, let authority else { return nil }
        return .certificates(
            certificate: certificate, privateKey: key, authority: authority,
            peerName: names["peer-name"]?.text(1...253, "a name"))
    }
}
