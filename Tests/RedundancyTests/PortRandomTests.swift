import Machine
import Records
import Redundancy
import Testing

/// Drawn LANs, drawn faults, one at a time: who is blamed has the fault.
@Suite struct PortRandomTests {
    enum Fault: CaseIterable {
        case inward, outward, bothWays, noGroups, oneFamily, carrier, split, deadSegment
    }
    enum LAN: CaseIterable {
        case busy, onlyUnicast, onlyGroups, quiet
    }

    func talkers(_ lan: LAN, _ random: inout RandomNumbers) -> [PortWorld.Talker] {
        var talkers: [PortWorld.Talker] = []
        if lan == .busy || lan == .onlyUnicast {
            for side in 0...1 { talkers.append(.init(side: side, kind: .unicast, interval: random.number(in: 4...80))) }
        }
        if lan == .busy || lan == .onlyGroups {
            for side in 0...1 {
                for kind in [FrameKind.groupIPv4, .groupIPv6, .groupOther] {
                    talkers.append(.init(side: side, kind: kind, interval: random.number(in: 50...400)))
                }
            }
        }
        return talkers
    }

    @Test("With one fault at a time only the controller that has it is blamed, and in time", arguments: 0..<16)
    func single(seed: UInt64) {
        var random = RandomNumbers(seed: seed &* 77 &+ 5)
        let lan = LAN.allCases[random.number(in: 0...3)]
        var world = PortWorld(talkers: talkers(lan, &random), seed: seed)
        world.follows = false
        world.lossPerMille = random.chance(1, in: 2) ? 0 : random.number(in: 1...10)
        world.run(8000) { $0.isBlamed(0) || $0.isBlamed(1) }
        #expect(!world.isBlamed(0) && !world.isBlamed(1), "a healthy LAN")
        for _ in 0..<4 {
            let fault = Fault.allCases[random.number(in: 0...(Fault.allCases.count - 1))]
            let guilty = random.number(in: 0...1)
            let hasHeartbeats = !random.chance(1, in: 5)
            let healthy = world.lines
            world.isChannelUp = [hasHeartbeats, hasHeartbeats]
            if !hasHeartbeats { world.run(150) }
            switch fault {
            case .inward: world.lines[guilty][0].inward = false
            case .outward: world.lines[guilty][0].outward = false
            case .bothWays:
                world.lines[guilty][0].inward = false
                world.lines[guilty][0].outward = false
            case .noGroups: world.lines[guilty][0].groupsIn = false
            case .oneFamily: world.lines[guilty][0].familyIn[random.number(in: 0...2)] = false
            case .carrier: world.setCarrier(guilty, false)
            case .split: world.isSplit[0] = true
            case .deadSegment:
                for c in 0...1 {
                    world.lines[c][0].inward = false
                    world.lines[c][0].outward = false
                }
            }
            let what: Comment = "seed \(seed), \(lan), \(fault) of \(guilty), heartbeats \(hasHeartbeats)"
            let found = world.run(6000) { $0.isBlamed(0) || $0.isBlamed(1) }
            // Whoever has the fault; nobody has those of the segment.
            let isNobodys = fault == .split || fault == .deadSegment
            world.run(3000) { isNobodys ? $0.isBlamed(guilty) || $0.isBlamed(1 - guilty) : $0.isBlamed(1 - guilty) }
            #expect(!world.isBlamed(1 - guilty), what)
            if isNobodys { #expect(!world.isBlamed(guilty), what) }
            if let bound = bound(fault, lan, isActive: guilty == world.active, hasHeartbeats) {
                #expect(world.isBlamed(guilty), what)
                #expect(found <= bound, what)
            }
            // Healed, it is good again; a family may have to be heard first.
            world.isChannelUp = [true, true]
            if !world.lines[guilty][0].hasCarrier { world.setCarrier(guilty, true) }
            world.lines = healthy
            world.isSplit[0] = false
            world.run(6000)
            #expect(!world.isBlamed(0) && !world.isBlamed(1), "healed: \(what)")
            world.run(8000) { $0.isBlamed(0) || $0.isBlamed(1) }
            #expect(!world.isBlamed(0) && !world.isBlamed(1), "still healed: \(what)")
        }
    }

    /// Within how many milliseconds a fault has to be found; `nil` where it need not be.
    func bound(_ fault: Fault, _ lan: LAN, isActive: Bool, _ hasHeartbeats: Bool) -> Int? {
        if fault == .carrier { return 1 }
        guard hasHeartbeats else { return nil }
        let hasGroups = lan == .busy || lan == .onlyGroups
        switch fault {
        case .inward:
            if lan == .quiet { return nil }
            if isActive { return lan == .onlyGroups ? 1000 : 300 }
            return hasGroups ? 1000 : nil
        case .outward, .bothWays: return hasGroups ? 1200 : nil
        case .noGroups, .oneFamily: return hasGroups ? 3000 : nil
        case .carrier, .split, .deadSegment: return nil
        }
    }

    @Test("Healthy LANs never yield a verdict nor a change of role over minutes", arguments: 0..<4)
    func healthy(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var world = PortWorld(talkers: talkers(LAN.allCases[Int(seed % 4)], &random), seed: seed)
        world.lossPerMille = Int(seed) * 2
        for _ in 0..<60 {
            // Neighbours fall silent and speak again; so do heartbeats.
            for i in world.talkers.indices { world.talkers[i].isSilent = random.chance(1, in: 3) }
            world.isChannelUp = [!random.chance(1, in: 6), !random.chance(1, in: 6)]
            world.run(random.number(in: 100...5000)) { $0.isBlamed(0) || $0.isBlamed(1) }
            #expect(!world.isBlamed(0) && !world.isBlamed(1), "seed \(seed) at \(world.now)")
        }
        #expect(world.changes.isEmpty)
    }

    @Test("The same seed finds the same at the same time")
    func deterministic() {
        func run() -> [Int] {
            var world = PortWorld(talkers: PortWorld.busy(), seed: 4)
            world.lossPerMille = 5
            world.run(5000)
            world.lines[0][0].inward = false
            world.run(5000)
            return world.changes.map(\.at) + [world.advertisementsSent]
        }
        #expect(run() == run())
    }
}
