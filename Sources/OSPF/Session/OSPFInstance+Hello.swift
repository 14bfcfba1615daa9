import Machine
import Records
import Routing
import Wire

/// RFC 2328 §9.5 and §10.5, RFC 5340 §4.2.1.1 and §4.2.2.1: Hellos.
extension OSPFInstance {
    // MARK: §9.5 sending

    mutating func startHellos(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        helloTimer(id, at: now, into: &effects)
    }

    mutating func helloTimer(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), interface.speaks else { return }
        sendHello(id, at: now, into: &effects)
        // The interval is what neighbours expect (§9.5), less a little so that routers of a LAN do not beat together.
        timers.set(
            OSPFTimer(.hello, UInt32(id.value)), at: now + jittered(.seconds(Int(interface.configuration.helloInterval))))
    }

    /// What we say of ourselves on links of the area (RFC 2328 §A.2, RFC 3101 §2.3, RFC 5340 §A.2, RFC 5838 §2.2).
    func options(on interface: OSPFInterface, forDescription: Bool) -> OSPFOptions {
        let kind = areaKind(interface.areaID)
        var options: OSPFOptions = []
        if kind.importsExternals { options.insert(.external) }
        if kind.isNSSA { options.insert(.nssa) }
        switch version {
        case .v2:
            // RFC 5250 §3.1: the O-bit belongs into Database Descriptions only.
            if forDescription { options.insert(.opaque) }
        case .v3:
            options.insert(.activeRouter)
            if configuration?.family == .ipv6 { options.insert(.ipv6) }
            // RFC 5838 §2.4: only instances beyond the IPv6 unicast ones say it.
            if (configuration?.instanceID ?? 0) > 31 { options.insert(.addressFamily) }
            if interface.configuration.authentication != nil { options.insert(.authenticationTrailer) }
        }
        return options
    }

    mutating func sendHello(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), interface.speaks else { return }
        let length = interface.primary?.prefixLength ?? 0
        let hello = HelloPacket(
            // §9.5: the mask says nothing on point-to-point links.
            networkMask: version == .v2 && interface.isBroadcast ? IPv4Prefix.mask(length) : 0,
            interfaceID: interface.interfaceNumber, helloInterval: interface.configuration.helloInterval,
            routerDeadInterval: interface.configuration.routerDeadInterval,
            options: options(on: interface, forDescription: false), priority: interface.configuration.priority,
            designatedRouter: interface.dr, backupDesignatedRouter: interface.bdr,
            neighbors: interface.neighbors.compactMap { neighbor($0)?.routerID })
        var writer = ByteWriter(capacity: 64)
        hello.write(to: &writer, version: version)
        send(
            .hello, writer.bytes, on: id, to: version == .v2 ? Self.allSPFRouters : Self.allSPFRoutersV6, at: now,
            into: &effects)
    }

    // MARK: §10.5 receiving

    mutating func receive(
        _ hello: HelloPacket, routerID sender: UInt32, source: IPAddress, on id: InterfaceID, sequence: UInt64?,
        at now: Instant, into effects: inout [Effect]
    ) {
        guard let interface = interface(id) else { return }
        let configuration = interface.configuration
        if version == .v2, interface.isBroadcast {
            let length = interface.primary?.prefixLength ?? 0
            guard hello.networkMask == IPv4Prefix.mask(length) else { return drop(.networkMaskMismatch, on: id) }
        }
        guard hello.helloInterval == configuration.helloInterval else { return drop(.helloIntervalMismatch, on: id) }
        let dead = version == .v2 ? configuration.routerDeadInterval : UInt32(UInt16(clamping: configuration.routerDeadInterval))
        guard hello.routerDeadInterval == dead else { return drop(.deadIntervalMismatch, on: id) }
        let own = options(on: interface, forDescription: false)
        // RFC 2328 §10.5 the E-bit, RFC 3101 §2.3 the N-bit.
        guard hello.options.contains(.external) == own.contains(.external),
            hello.options.contains(.nssa) == own.contains(.nssa)
        else { return drop(.optionMismatch, on: id) }
        // RFC 5838 §2.4
        if own.contains(.addressFamily), !hello.options.contains(.addressFamily) { return drop(.familyMismatch, on: id) }

        var found = neighborIndex(routerID: sender, source: source, on: interface)
        if let index = found, let known = neighbor(index), known.routerID != sender {
            // The router at this address has another Router ID now: it began anew.
            neighborEvent(.killNbr("its Router ID changed"), index, at: now, into: &effects)
            found = nil
        }
        guard let index = found ?? addNeighbor(sender, source, on: id) else { return }
        let i = Int(index.value)
        guard let before = neighbor(index) else { return }
        if let sequence { neighbors[i]?.sequences[Int(OSPFPacketType.hello.rawValue)] = sequence }

        let isHelped = before.graceDeadline != nil
        if before.interfaceNumber != hello.interfaceID || before.address != source {
            // Our router and network LSAs name the one, next hops the other.
            dirty.link(id, area: interface.areaID)
        }
        neighbors[i]?.interfaceNumber = hello.interfaceID
        if before.address != source {
            // On a point-to-point link and in OSPFv3 the source is what Hellos say last.
            if before.isBFDWanted { neighborEvent(.killNbr("its address changed"), index, at: now, into: &effects) }
            guard neighbor(index) != nil else { return }
            neighbors[i]?.address = source
        }
        // The restarting router says nothing of what it was; RFC 3623 §3.1 keeps it what it was.
        if !isHelped {
            neighbors[i]?.priority = hello.priority
            neighbors[i]?.dr = hello.designatedRouter
            neighbors[i]?.bdr = hello.backupDesignatedRouter
        }
        if before.state < .exStart { neighbors[i]?.options = hello.options.rawValue }

        let deadline = now + .seconds(Int(configuration.routerDeadInterval))
        neighbors[i]?.deadDeadline = max(deadline, before.graceDeadline ?? deadline)
        let timer = OSPFTimer(.inactivity, index.value)
        if !timers.isRunning(timer) { timers.set(timer, at: deadline) }
        neighborEvent(.helloReceived, index, at: now, into: &effects)
        // Whoever is new hears at once that it is heard: the adjacency need not wait for our next Hello.
        if before.state == .down { sendHello(id, at: now, into: &effects) }

        guard hello.neighbors.contains(routerID) else {
            return neighborEvent(.oneWayReceived, index, at: now, into: &effects)
        }
        neighborEvent(.twoWayReceived, index, at: now, into: &effects)
        guard !isHelped, let neighbor = neighbor(index), interface.isBroadcast else { return }

        // §10.5: what the Hello says of DR and Backup. It was recorded above; the events follow it.
        let name = identity(of: neighbor)
        let state = self.interface(id)?.state ?? .down
        var isChange = before.priority != hello.priority
        let wasDR = before.dr == name, isDR = hello.designatedRouter == name
        let wasBackup = before.bdr == name, isBackup = hello.backupDesignatedRouter == name
        if state == .waiting, isBackup || (isDR && hello.backupDesignatedRouter == 0) {
            return interfaceEvent(.backupSeen, id, at: now, into: &effects)
        }
        if wasDR != isDR || wasBackup != isBackup { isChange = true }
        if isChange { interfaceEvent(.neighborChange, id, at: now, into: &effects) }
    }
}
