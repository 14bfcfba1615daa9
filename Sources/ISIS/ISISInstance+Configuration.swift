import Machine
import Records
import Routing
import SPF
import Wire

/// What a change of configuration or of an interface disturbs, and what it leaves alone.
extension ISISInstance {
    mutating func configure(
        _ wanted: ISISConfiguration?, _ interfaces: [InterfaceConfiguration], at now: Instant, into effects: inout [Effect]
    ) {
        // Another name is another router: the old one says goodbye first.
        if let old = configuration, wanted?.systemID != old.systemID {
            shutdown(at: now, into: &effects)
        }
        guard let wanted else {
            self.interfaces = interfaces
            configuration = nil
            return
        }
        let old = configuration
        let oldInterfaces = self.interfaces
        configuration = wanted
        self.interfaces = interfaces
        for level in Level.allCases where old?.levels.contains(level) == true && !wanted.levels.contains(level) {
            end(level, at: now, into: &effects)
        }
        configureCircuits(wanted, oldInterfaces, at: now, into: &effects)
        effects.append(
            .subscriptions(
                circuits.compactMap { circuit in
                    circuit.flatMap { circuit in
                        circuit.configuration.isPassive
                            ? nil
                            : PacketSubscription(
                                interface: circuit.interface, packetProtocol: .isis,
                                groups: ISISGroup.subscribed.map { .station($0) })
                    }
                }))
        if old == nil, wanted.overload.onStartup > 0 {
            event(.info, "the overload bit is set for the first \(wanted.overload.onStartup) s", into: &effects)
            setOverload(1, at: now)
            timers.set(ISISTimer(.overload), at: now + .seconds(Int64(wanted.overload.onStartup)))
        } else if wanted.overload.onStartup == 0, overloadReasons & 1 != 0 {
            timers.cancel(ISISTimer(.overload))
            endOverload(0, at: now)
        }
        for level in Level.allCases where wanted.levels.contains(level) {
            // Another key signs everything anew; so does another lifetime, which only a new LSP can say.
            if old?[level].authentication?.chain.sendingKey(at: now) != lspKey(level, at: now)
                || old?.lspLifetime != wanted.lspLifetime
            {
                originators[level.index].invalidate()
            }
            if old != wanted || oldInterfaces != interfaces {
                scheduleGeneration(level, at: now)
            }
            awaitNextKey(level, at: now)
        }
        if old != wanted || oldInterfaces != interfaces { calculationConfigured(at: now) }
    }

    // MARK: circuits

    private mutating func configureCircuits(
        _ wanted: ISISConfiguration, _ oldInterfaces: [InterfaceConfiguration], at now: Instant, into effects: inout [Effect]
    ) {
        let count = max(circuits.count, interfaces.count)
        while circuits.count < count { circuits.append(nil) }
        for number in 0..<count {
            let plan = number < interfaces.count ? plannedCircuit(number, wanted) : nil
            guard let plan else {
                if circuits[number] != nil { remove(number, at: now, into: &effects) }
                continue
            }
            if let circuit = circuits[number], isDisturbed(circuit, plan, number, oldInterfaces) {
                remove(number, at: now, into: &effects)
            }
            if circuits[number] == nil {
                circuits[number] = Circuit(
                    interface: InterfaceID(UInt16(number)), configuration: plan.configuration, levels: plan.levels,
                    circuitID: circuitID(number, plan.configuration), on: interfaces[number])
                if isInterfaceUp(number) { start(number, at: now, into: &effects) }
                continue
            }
            let before = circuits[number]?.configuration
            circuits[number]?.configuration = plan.configuration
            circuits[number]?.take(interfaces[number])
            if before != plan.configuration || oldInterfaces[safe: number] != interfaces[number] {
                reviewBFD(number, into: &effects)
                for which in circuits[number]?.helloLevels ?? [] { hastenHello(number, which, at: now) }
                for level in Level.allCases { elect(number, level, at: now, into: &effects) }
            }
        }
        if circuits.count > interfaces.count { circuits.removeLast(circuits.count - interfaces.count) }
    }

    func plannedCircuit(
        _ number: Int, _ wanted: ISISConfiguration
    ) -> (configuration: ISISInterfaceConfiguration, levels: ISISLevels)? {
        guard var configuration = wanted.interface(InterfaceID(UInt16(number))),
            let levels = wanted.levels.intersection(configuration.levels)
        else { return nil }
        if interfaces[number].isLoopback { configuration.isPassive = true }
        return (configuration, levels)
    }

    /// Whether neighbours have to begin anew.
    private func isDisturbed(
        _ circuit: Circuit, _ plan: (configuration: ISISInterfaceConfiguration, levels: ISISLevels), _ number: Int,
        _ oldInterfaces: [InterfaceConfiguration]
    ) -> Bool {
        circuit.levels != plan.levels || circuit.configuration.networkType != plan.configuration.networkType
            || circuit.configuration.isPassive != plan.configuration.isPassive
            || circuit.station != interfaces[number].virtualMAC
            || oldInterfaces[safe: number].map {
                $0.name != interfaces[number].name || $0.vlan != interfaces[number].vlan
            } ?? false
    }

    /// §7.2.7: one octet names a LAN among those that this router may be designated on. The number of the interface
    /// where it fits and is free, so that it stays the same over restarts; else the lowest free one; 0 if all are
    /// taken.
    private func circuitID(_ number: Int, _ configuration: ISISInterfaceConfiguration) -> UInt8 {
        guard configuration.networkType == .broadcast, !configuration.isPassive else {
            return UInt8(truncatingIfNeeded: number + 1)
        }
        var isTaken = [Bool](repeating: false, count: 256)
        for case let circuit? in circuits where circuit.isBroadcast && !circuit.configuration.isPassive {
            isTaken[Int(circuit.circuitID)] = true
        }
        if number < 255, !isTaken[number + 1] { return UInt8(number + 1) }
        return (1...255).first { !isTaken[$0] }.map { UInt8($0) } ?? 0
    }

    /// A circuit begins: hellos, and on a LAN the wait for the first election.
    private mutating func start(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        circuits[number]?.isUp = true
        guard let circuit = circuits[number] else { return }
        for level in Level.allCases where circuit.levels.contains(level) { scheduleGeneration(level, at: now) }
        guard circuit.isActive else { return }
        for which in circuit.helloLevels { hastenHello(number, which, at: now) }
        guard circuit.isBroadcast else { return }
        for level in Level.allCases where circuit.levels.contains(level) {
            circuits[number]?.lans[level.index] = Circuit.LAN()
            let wait = Duration.milliseconds(2 * Int64(circuit.configuration[level].helloInterval))
            timers.set(ISISTimer(.election, circuit, level), at: now + wait)
        }
    }

    /// A circuit ends. - Parameter saysGoodbye: the link still works, so neighbours need not wait for silence.
    private mutating func stop(
        _ number: Int, reason: String, saysGoodbye: Bool, at now: Instant, into effects: inout [Effect]
    ) {
        guard let circuit = circuits[number], circuit.isUp else { return }
        for adjacency in circuit.adjacencies.reversed() {
            lose(adjacency, number, reason: reason, at: now, into: &effects)
        }
        if saysGoodbye, let silent = circuits[number], silent.isActive, !circuit.adjacencies.isEmpty {
            // Hellos that list nobody end the adjacency at the neighbours (§8.4.2.2 (b), RFC 5303 §3.2).
            for which in silent.helloLevels { emitHello(silent, which, at: now, into: &effects) }
        }
        circuits[number]?.isUp = false
        for which in UInt8(0)...2 {
            for kind in [ISISTimer.Kind.hello, .election, .csnp, .psnp, .transmit, .retransmit] {
                timers.cancel(ISISTimer(kind, circuit: UInt16(number), level: which))
            }
        }
        circuits[number]?.hastened = 0
        for level in Level.allCases where circuit.levels.contains(level) {
            circuits[number]?.lans[level.index] = Circuit.LAN()
            databases[level.index].clearFlags(number)
            scheduleGeneration(level, at: now)
            adjacencySetChanged(level)
        }
    }

    private mutating func remove(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        stop(number, reason: "the circuit's configuration changed", saysGoodbye: true, at: now, into: &effects)
        circuits[number] = nil
    }

    mutating func setInterface(_ id: InterfaceID, isUp: Bool, at now: Instant, into effects: inout [Effect]) {
        let number = Int(id.value)
        while downInterfaces.count <= number { downInterfaces.append(false) }
        downInterfaces[number] = !isUp
        guard let circuit = circuit(number), circuit.isUp != isUp else { return }
        if isUp {
            start(number, at: now, into: &effects)
        } else {
            stop(number, reason: "interface down", saysGoodbye: false, at: now, into: &effects)
        }
    }

    // MARK: ends

    /// A level ends: what we said at it is purged while neighbours still listen.
    private mutating func end(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        withdrawAll(level, at: now)
        flushAll(level, at: now, into: &effects)
        for kind in [ISISTimer.Kind.generate, .overload, .key] { timers.cancel(ISISTimer(kind, level)) }
        // An overload that the full database of this level caused ends with it.
        overloadReasons &= ~(level.rawValue << 1)
        endCalculation(level, databases[level.index], at: now)
        databases[level.index] = LSPDatabase(level: level, seed: random.next())
        originators[level.index] = Originator()
    }

    /// Purges leave at once, and not at the pace of floods: there is no later.
    private mutating func flushAll(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        for number in circuits.indices {
            guard let circuit = circuits[number], circuit.isActive, circuit.hasUp(level) else { continue }
            while let slot = databases[level.index].takeUnsent(number, isKept: false) {
                guard databases[level.index].entries[slot].isPurged else { continue }
                transmit(databases[level.index].bytes(slot), circuit, level, into: &effects)
            }
        }
    }

    /// The protocol ends in good order.
    private mutating func shutdown(at now: Instant, into effects: inout [Effect]) {
        for level in Level.allCases where configuration?.levels.contains(level) == true {
            withdrawAll(level, at: now)
            flushAll(level, at: now, into: &effects)
        }
        for number in circuits.indices where circuits[number] != nil {
            stop(number, reason: "IS-IS ends", saysGoodbye: true, at: now, into: &effects)
            circuits[number] = nil
        }
        for level in Level.allCases { end(level, at: now, into: &effects) }
        endCalculation(at: now, into: &effects)
        backoff = SPFBackOff()
        timers.removeAll()
        overloadReasons = 0
        circuits = []
        effects.append(.subscriptions([]))
    }
}
