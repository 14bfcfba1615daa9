import Records
import Testing
import Wire

@testable import Configuration

private func readController(_ text: String) -> ConfigurationResult<ControllerFile> {
    ControllerText.read(Array(text.utf8), file: "c.yaml", directory: "/etc/lockstep")
}

@Suite struct ControllerTextTests {
    @Test func `the shortest pair gets the defaults`() throws {
        let result = readController(
            """
            controller: a
            interfaces: {lan: svc0}
            redundancy: {local: 198.18.255.1, peer: 198.18.255.2, key-file: pair.key}
            router: router.yaml
            """)
        #expect(result.problems.isEmpty)
        var expected = ControllerFile(
            controller: .a, interfaces: [.init(name: "lan", device: "svc0")],
            redundancy: RedundancyConfiguration(
                local: IPAddress("198.18.255.1")!, peer: IPAddress("198.18.255.2")!,
                security: .sharedKey(files: ["/etc/lockstep/pair.key"])))
        expected.routerConfiguration = "/etc/lockstep/router.yaml"
        #expect(result.value == expected)
        #expect(expected.name == "lockstep-a")
        #expect(expected.datastore == "/var/lib/lockstep/lockstep-a.sqlite")
        #expect(expected.managementSocket == "/run/lockstep/lockstep.sock")
        #expect(expected.redundancy?.heartbeatInterval == .milliseconds(10))
        #expect(expected.redundancy?.standbyTimeout == .milliseconds(250))
    }

    @Test func `everything can be said`() throws {
        let result = readController(
            """
            controller: b
            name: east
            pair: border1
            priority: 200
            interfaces: {lan: svc0, wan: eth1.5}
            redundancy:
              local: 2001:db8::1
              peer: 2001:db8::2
              port: 7000
              certificates: {certificate: a.pem, private-key: /k/a.key, authority: ca.pem, peer-name: west}
              heartbeat: {interval: 20ms, multiplier: 3}
              standby-timeout: 1s
            arbiter: {lease-file: /run/lease, lease: 80ms}
            datastore: ../east.sqlite
            management: /run/east.sock
            watchdog: 1s
            guard: install
            log-level: debug
            memory: {warning: 512MiB, limit: 1GiB}
            """)
        #expect(result.problems.isEmpty)
        let value = try #require(result.value)
        #expect(value.controller == .b)
        #expect(value.name == "east")
        #expect(value.priority == 200)
        #expect(value.device(for: "wan") == "eth1.5")
        #expect(value.redundancy?.gaspPort == 7001)
        #expect(
            value.redundancy?.security
                == .certificates(
                    certificate: "/etc/lockstep/a.pem", privateKey: "/k/a.key", authority: "/etc/lockstep/ca.pem",
                    peerName: "west"))
        #expect(value.redundancy?.heartbeatMultiplier == 3)
        #expect(value.redundancy?.standbyTimeout == .seconds(1))
        #expect(value.arbiter == .leaseFile(path: "/run/lease", lease: .milliseconds(80)))
        #expect(value.datastore == "/etc/lockstep/../east.sqlite")
        #expect(value.watchdog == .seconds(1))
        #expect(value.guard == .install)
        #expect(value.logLevel == .debug)
        #expect(value.memoryWarning == 512 << 20)
        #expect(value.memoryLimit == 1 << 30)
    }

    @Test func `a controller alone needs no channel`() {
        let result = readController("controller: a\nalone: true\ninterfaces: {lan: svc0}")
        #expect(result.problems.isEmpty)
        #expect(result.value?.isAlone == true)
    }

    @Test(arguments: [
        ("interfaces: {lan: svc0}\nalone: true", "'controller' is missing; write a or b"),
        ("controller: c\ninterfaces: {lan: svc0}\nalone: true", "'c' is not allowed; it can be a or b"),
        (
            "controller: a\ninterfaces: {lan: svc0}",
            "'redundancy' is missing; a controller without a twin says 'alone: true'"
        ),
        ("controller: a\nalone: true", "'interfaces' is missing; write ROUTER-INTERFACE: DEVICE for each"),
        (
            "controller: a\nalone: true\ninterfaces: {lan: abcdefghijklmnopq}",
            "the name of a device of 1 to 15 octets is expected, not 17"
        ),
        ("controller: a\nalone: true\ninterfaces: {lan: a/b}", "'a/b' is no name of a device"),
        (
            "controller: a\nalone: true\ninterfaces: {lan: x}\nredundancy: {local: 10.0.0.1, peer: 10.0.0.2, insecure: true}",
            "'alone: true' and 'redundancy' exclude each other"
        ),
        (
            "controller: a\nalone: true\ninterfaces: {lan: x}\narbiter: lease-file",
            "the lease file needs its path; write {lease-file: PATH}"
        ),
        (
            "controller: a\nalone: true\ninterfaces: {lan: x}\nmemory: {warning: 2GiB, limit: 1GiB}",
            "the warning is above the limit"
        ),
        (
            "controller: a\nalone: true\ninterfaces: {lan: x}\nmemory: {warning: 2GB}",
            "'2GB' is no size; write a number and KiB, MiB, GiB or TiB"
        ),
        (
            "controller: a\nalone: true\ninterfaces: {lan: x}\nwatchdog: 1ms",
            "1ms is not allowed; write a time from 20ms to 1m"
        ),
    ])
    func `a wrong file is refused`(text: String, message: String) {
        #expect(readController(text).errors.map(\.message).first == message)
        #expect(readController(text).value == nil)
    }

    @Test func `forwarding is a word or a mapping, and memory by default`() throws {
        func forwarding(_ text: String) -> ForwardingConfiguration? {
            let result = readController("controller: a\nalone: true\ninterfaces: {lan: x}\n" + text)
            #expect(result.problems.isEmpty)
            return result.value?.forwarding
        }
        #expect(forwarding("") == ForwardingConfiguration())
        #expect(forwarding("forwarding: kernel")?.mode == .kernel)
        #expect(forwarding("forwarding: none")?.mode == ForwardingConfiguration.Mode.none)
        var expected = ForwardingConfiguration()
        expected.mode = .kernel
        expected.table = 1000
        expected.routeProtocol = 77
        expected.metric = 5
        expected.hold = .seconds(5)
        expected.staleTime = .seconds(30)
        expected.staysOnExit = true
        #expect(
            forwarding(
                "forwarding: {mode: kernel, table: 1000, protocol: 77, metric: 5, hold: 5s, stale-time: 30s, "
                    + "keep-on-exit: true}") == expected)
    }

    @Test(arguments: [
        ("forwarding: fpga", "'fpga'"), ("forwarding: {table: 5}", "'mode' is missing"),
        ("forwarding: {mode: kernel, table: 255}", "table 255 belongs to the kernel"),
        ("forwarding: {mode: kernel, protocol: 2}", "'2' is not allowed"),
        ("forwarding: {mode: kernel, proto: 9}", "unknown key; write protocol"),
    ])
    func `wrong forwarding is refused`(text: String, message: String) {
        let result = readController("controller: a\nalone: true\ninterfaces: {lan: x}\n" + text)
        #expect(result.errors.map(\.message).first?.contains(message) == true, "\(result.errors.map(\.message))")
    }

    @Test(arguments: [
        ("peer: 10.0.0.2", "the channel is not protected; write key-file, certificates, or insecure: true on purpose"),
        ("peer: 10.0.0.2\n  insecure: true\n  key-file: k", "write only one of key-file, certificates and insecure"),
        ("peer: 10.0.0.1\n  insecure: true", "the twin cannot have our own address"),
        ("peer: 2001:db8::1\n  insecure: true", "both addresses must be of one family"),
        ("insecure: true", "'peer' is missing; the twin's address on the redundancy link"),
        (
            "peer: 10.0.0.2\n  insecure: true\n  key: secret",
            "unknown key; write key-file: PATH, the key itself does not belong here"
        ),
        ("peer: 10.0.0.2\n  insecure: true\n  heartbeat: {interval: 2s}", "2s is not allowed; write a time from 1ms to 1s"),
    ])
    func `a wrong channel is refused`(text: String, message: String) {
        let result = readController("controller: a\ninterfaces: {lan: x}\nredundancy:\n  local: 10.0.0.1\n  " + text)
        #expect(result.errors.map(\.message).first == message)
    }
}
