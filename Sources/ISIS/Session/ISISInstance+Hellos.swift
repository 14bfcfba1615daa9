import Machine
import Records
import Routing
import Wire

/// Group addresses of IS-IS.
enum ISISGroup {
    /// AllL1ISs and AllL2ISs (ISO 10589 §8.4.8).
    static let level1 = MACAddress(raw: 0x0180_c200_0014)
    static let level2 = MACAddress(raw: 0x0180_c200_0015)
    /// AllIntermediateSystems: RFC 5309 §4.1 for point-to-point circuits over a LAN.
    static let all = MACAddress(raw: 0x0900_2b00_0005)
    /// Whatever may be meant for us: these and AllEndSystems (ISO 10589 Table 9).
    static let subscribed = [level1, level2, all, MACAddress(raw: 0x0900_2b00_0004)]

    static func address(_ level: Level) -> MACAddress { level == .one ? level1 : level2 }
}

/// Sending: hellos (ISO 10589 §8.2.3, §8.4.1) and what all PDUs have in common.
extension ISISInstance {
    /// Puts a PDU on a circuit. `level` chooses the group of a LAN.
    mutating func transmit(_ bytes: [UInt8], _ circuit: Circuit, _ level: Level?, into effects: inout [Effect]) {
        let group = circuit.isBroadcast ? level.map(ISISGroup.address) ?? ISISGroup.all : ISISGroup.all
        counters.sent &+= 1
        effects.append(
            .send(
                OutgoingPacket(
                    interface: circuit.interface, packetProtocol: .isis, source: .station(circuit.station),
                    destination: .station(group), bytes: bytes)))
    }

    /// Authentication of LSPs of the level.
    func lspAuthentication(_ level: Level) -> ISISAuthentication? { configuration?[level].authentication }
    /// Authentication of sequence numbers PDUs of the level.
    func snpAuthentication(_ level: Level) -> ISISAuthentication? {
        configuration?[level].authenticatesSNP == true ? lspAuthentication(level) : nil
    }
    /// What signs LSPs of the level now.
    func lspKey(_ level: Level, at now: Instant) -> KeyChain.Key? { lspAuthentication(level)?.chain.sendingKey(at: now) }
    /// What signs sequence numbers PDUs of the level now.
    func snpKey(_ level: Level, at now: Instant) -> KeyChain.Key? { snpAuthentication(level)?.chain.sendingKey(at: now) }

    /// RFC 5120 §7.2: the topologies of the circuit, or `nil` when the standard one is all there is and nothing is
    /// said.
    func topologies(_ circuit: Circuit) -> [UInt16]? {
        guard let configuration, !configuration.topologies.isEmpty else { return nil }
        let wanted = circuit.configuration.topologies ?? configuration.topologies
        return [0] + wanted.filter { $0 != .standard && configuration.topologies.contains($0) }.map(\.rawValue)
    }

    /// The same as bits: 0 standard, 1 IPv6 unicast.
    static func topologyBits(_ list: [UInt16]?) -> UInt8 {
        guard let list else { return 1 }
        return (list.contains(0) ? 1 : 0) | (list.contains(ISISTopology.ipv6Unicast.rawValue) ? 2 : 0)
    }

    private func contents(_ circuit: Circuit) -> HelloContents {
        var contents = HelloContents()
        guard let configuration else { return contents }
        contents.areas = configuration.areaAddresses
        if configuration.isIPv4Enabled {
            contents.protocols.append(ProtocolID.ipv4)
            contents.ipv4Addresses = circuit.ipv4
        }
        if configuration.isIPv6Enabled {
            contents.protocols.append(ProtocolID.ipv6)
            contents.ipv6Addresses = circuit.ipv6
        }
        contents.topologies = topologies(circuit)
        // RFC 5306 §3.1: the option, empty, says that we would help.
        if configuration.isRestartHelper { contents.restart = RestartOption() }
        return contents
    }

    private func padding(_ circuit: Circuit, isAdjacent: Bool) -> Int {
        switch circuit.configuration.padding {
        case .always: circuit.frameOctets
        case .untilAdjacency: isAdjacent ? 0 : circuit.frameOctets
        case .never: 0
        }
    }

    /// The time between hellos of a level of a circuit. §8.4.5: the designated IS sends three times as often.
    private func helloInterval(_ circuit: Circuit, _ level: Level) -> Duration {
        let interval = Duration.milliseconds(Int64(circuit.configuration[level].helloInterval))
        return circuit.isDesignated(level, by: ownID) ? interval / 3 : interval
    }

    private func holdingTime(_ circuit: Circuit, _ level: Level) -> UInt16 {
        let whole = helloInterval(circuit, level).inMilliseconds * Int64(circuit.configuration[level].helloMultiplier)
        return max(1, UInt16(clamping: (whole + 999) / 1000))
    }

    /// Sends a hello and sets the timer of the next.
    mutating func sendHello(_ number: Int, _ which: UInt8, at now: Instant, into effects: inout [Effect]) {
        guard let circuit = circuit(number), circuit.isActive else { return }
        emitHello(circuit, which, at: now, into: &effects)
        let level = Level(rawValue: which) ?? circuit.lowestLevel
        timers.set(
            ISISTimer(.hello, circuit: UInt16(number), level: which), at: now + jittered(helloInterval(circuit, level)))
        circuits[number]?.hastened &= ~(1 << which)
    }

    /// A neighbour waits for our answer: the next hello goes soon, but a storm of reasons still makes but one.
    mutating func hastenHello(_ number: Int, _ which: UInt8, at now: Instant) {
        guard let circuit = circuit(number), circuit.isActive, circuit.hastened & 1 << which == 0 else { return }
        circuits[number]?.hastened |= 1 << which
        timers.set(
            ISISTimer(.hello, circuit: UInt16(number), level: which), at: now + .milliseconds(random.number(in: 5...20)))
    }

    /// - Parameter restarting: RFC 5306 §3.2.1: the neighbour whose request this hello answers.
    mutating func emitHello(
        _ circuit: Circuit, _ which: UInt8, answering restarting: (neighbor: SystemID, remaining: UInt16)? = nil,
        at now: Instant, into effects: inout [Effect]
    ) {
        var contents = contents(circuit)
        if let restarting {
            contents.restart = RestartOption(
                isAcknowledgement: true, remainingTime: restarting.remaining, restartingNeighbor: restarting.neighbor)
        }
        let key = circuit.configuration.authentication?.chain.sendingKey(at: now)
        guard let level = Level(rawValue: which) else {
            contents.threeWay = threeWay(circuit)
            let hello = PointToPointHello(
                circuitType: circuit.levels, source: ownID, holdingTime: holdingTime(circuit, circuit.lowestLevel),
                localCircuitID: circuit.circuitID, contents: contents)
            let size = padding(circuit, isAdjacent: circuit.hasUp)
            transmit(hello.encoded(paddedTo: size, key: key), circuit, nil, into: &effects)
            return
        }
        // §8.4.1: everybody heard at this level, whatever the state.
        for adjacency in circuit.adjacencies where adjacency.usage.contains(level) {
            contents.lanNeighbors.append(adjacency.station)
        }
        contents.lanNeighbors.sort()
        let hello = LANHello(
            level: level, circuitType: circuit.levels, source: ownID, holdingTime: holdingTime(circuit, level),
            priority: circuit.configuration[level].priority, lanID: circuit.lans[level.index].lanID, contents: contents)
        let size = padding(circuit, isAdjacent: circuit.hasUp(level))
        transmit(hello.encoded(paddedTo: size, key: key), circuit, level, into: &effects)
    }

    /// RFC 5303 §3.2: what we say of the handshake.
    private func threeWay(_ circuit: Circuit) -> ThreeWayAdjacency {
        guard let neighbor = circuit.adjacencies.first else {
            return ThreeWayAdjacency(state: .down, extendedCircuitID: circuit.extendedCircuitID)
        }
        return ThreeWayAdjacency(
            state: neighbor.isUp ? .up : .initializing, extendedCircuitID: circuit.extendedCircuitID,
            neighbor: neighbor.system, neighborCircuitID: neighbor.extendedCircuitID)
    }
}
