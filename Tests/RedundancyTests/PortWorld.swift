import Machine
import Records
import Redundancy
import Wire

/// Two judges on LANs whose every direction can be broken, in steps of a millisecond of virtual time.
///
/// Reports cross as octets with one to three milliseconds of delay, frames cross at once. The active is whoever the judges
/// make it, if `follows`.
struct PortWorld {
    /// What works of one controller's port.
    struct Line {
        var hasCarrier = true
        var inward = true
        var outward = true
        /// Frames to groups come in; those of each family do: IPv4, IPv6, other.
        var groupsIn = true
        var familyIn = [true, true, true]

        func takes(_ kind: FrameKind) -> Bool {
            guard hasCarrier, inward else { return false }
            return kind == .unicast || groupsIn && familyIn[Int(kind.rawValue) - 1]
        }
    }

    /// A third party. Side 0 stays with controller 0 when the segment is split, side 1 with controller 1.
    struct Talker {
        var port = 0
        var side = 0
        var kind: FrameKind
        /// Milliseconds between frames; each comes up to a quarter earlier, as in BFD.
        var interval: Int
        var isSilent = false
        var next = 0
    }

    /// A neighbour that answers when it is asked; its side as a talker's.
    struct Answerer {
        var port = 0
        var side = 0
        var isDead = false
    }

    struct Change {
        var at: Int
        var why: String
    }

    var judges: [PortJudge]
    var lines: [[Line]]
    var talkers: [Talker] = []
    var answerers: [Answerer] = []
    var isSplit: [Bool]
    /// Whether heartbeats of each controller arrive.
    var isChannelUp = [true, true]
    var advertises = [true, true]
    var isTwinReady = true
    var follows = true
    /// Frames lost at random, of a thousand.
    var lossPerMille = 0

    private(set) var now = 0
    private(set) var active = 0
    private(set) var changes: [Change] = []
    /// Of both controllers, on all ports.
    private(set) var advertisementsSent = 0
    private(set) var questionsAsked = 0
    var random: RandomNumbers
    private var sequences: [UInt64] = [0, 0]
    private var reports: [(due: Int, to: Int, octets: [UInt8])] = []

    init(ports: Int = 1, talkers: [Talker] = [], seed: UInt64 = 1, policy: PortJudgePolicy = PortJudgePolicy()) {
        judges = [PortJudge(portCount: ports, policy: policy), PortJudge(portCount: ports, policy: policy)]
        lines = Array(repeating: Array(repeating: Line(), count: ports), count: 2)
        isSplit = Array(repeating: false, count: ports)
        random = RandomNumbers(seed: seed)
        self.talkers = talkers
        for i in self.talkers.indices { self.talkers[i].next = 1 + random.number(in: 0...talkers[i].interval) }
        judges[1].roleChanged(isActive: false, at: instant)
    }

    var instant: Instant { Instant(nanoseconds: Int64(now) * 1_000_000) }

    mutating func setCarrier(_ controller: Int, port: Int = 0, _ isUp: Bool) {
        guard lines[controller][port].hasCarrier != isUp else { return }
        lines[controller][port].hasCarrier = isUp
        judges[controller].carrier(InterfaceID(UInt16(port)), isUp: isUp, at: instant)
    }

    /// Runs until `milliseconds` later, or until `isDone` says so; how long it took.
    @discardableResult
    mutating func run(_ milliseconds: Int, until isDone: (PortWorld) -> Bool = { _ in false }) -> Int {
        let began = now
        while now < began + milliseconds {
            step()
            if isDone(self) { break }
        }
        return now - began
    }

    private mutating func step() {
        now += 1
        let time = instant
        // Heartbeats that have arrived.
        var i = 0
        while i < reports.count {
            guard reports[i].due <= now else {
                i += 1
                continue
            }
            let arrived = reports.remove(at: i)
            var reader = ByteReader(arrived.octets.span.bytes)
            guard let report = try? PortReport(from: &reader), reader.isAtEnd else { preconditionFailure("report") }
            judges[arrived.to].twinReport(report, at: time)
        }
        // Third parties.
        for i in talkers.indices where talkers[i].next <= now {
            let talker = talkers[i]
            talkers[i].next = now + max(1, talker.interval - random.number(in: 0...(talker.interval / 4)))
            guard !talker.isSilent else { continue }
            var counts = FrameCounts()
            counts.add(talker.kind)
            for controller in 0...1 where talker.kind != .unicast || controller == active {
                guard !isSplit[talker.port] || talker.side == controller else { continue }
                guard lines[controller][talker.port].takes(talker.kind), !isLost() else { continue }
                judges[controller].noteFrames(InterfaceID(UInt16(talker.port)), counts, at: time)
            }
        }
        for controller in 0...1 {
            if advertises[controller] { advertise(controller) }
            ask(controller)
            if now % 10 == controller * 5 {
                var writer = ByteWriter()
                judges[controller].report(at: time).encode(into: &writer)
                let delay = random.number(in: 1...3)
                if isChannelUp[controller] { reports.append((now + delay, 1 - controller, writer.bytes)) }
            }
            if let due = judges[controller].nextDeadline, due <= time { judges[controller].tick(at: time) }
            if let due = judges[controller].nextDeadline { precondition(due > time, "a deadline that does not pass") }
        }
        if let why = judges[active].takeHandover(isTwinReady: isTwinReady, at: time) {
            changes.append(Change(at: now, why: why))
            if follows { changeRoles() }
        }
    }

    mutating func changeRoles() {
        active = 1 - active
        for controller in 0...1 { judges[controller].roleChanged(isActive: controller == active, at: instant) }
    }

    private mutating func isLost() -> Bool { lossPerMille > 0 && random.chance(lossPerMille, in: 1000) }

    private mutating func advertise(_ controller: Int) {
        let time = instant, other = 1 - controller
        for port in lines[controller].indices {
            let id = InterfaceID(UInt16(port))
            guard judges[controller].isAdvertisementDue(id, at: time) else { continue }
            let calls = judges[controller].callsForFast(id, at: time)
            judges[controller].sentAdvertisement(id, at: time)
            advertisementsSent += 1
            sequences[controller] += 1
            guard lines[controller][port].hasCarrier, lines[controller][port].outward, !isSplit[port],
                lines[other][port].takes(.groupOther), !isLost()
            else { continue }
            judges[other].heardTwinAdvertisement(
                id, sequence: sequences[controller], callsForFast: calls, at: time)
        }
    }

    private mutating func ask(_ controller: Int) {
        for port in lines[controller].indices {
            let id = InterfaceID(UInt16(port)), known = answerers.filter { $0.port == port }
            guard !known.isEmpty, let due = judges[controller].nextQuestion(id, at: instant), due <= instant else { continue }
            judges[controller].asked(id, at: instant)
            questionsAsked += 1
            let neighbour = known[questionsAsked / 2 % known.count], line = lines[controller][port]
            guard line.hasCarrier, line.outward, line.inward, !neighbour.isDead,
                !isSplit[port] || neighbour.side == controller, !isLost(), !isLost()
            else { continue }
            judges[controller].answered(id, at: instant)
        }
    }

    // MARK: what is found

    func health(_ controller: Int, port: Int = 0) -> PortHealth {
        // Each side's own finding; the outward one is the other's.
        let id = InterfaceID(UInt16(port))
        return PortHealth(
            inward: judges[controller].health(id, at: instant).inward,
            outward: judges[1 - controller].twinHealth(id, at: instant).outward)
    }

    /// Whether anything bad is found of a controller's port.
    func isBlamed(_ controller: Int, port: Int = 0) -> Bool { health(controller, port: port).points < PortHealth.pointsMaximum }

    // MARK: LANs

    /// Neighbours that speak to the router all the time and to groups now and then.
    static func busy(_ port: Int = 0) -> [Talker] {
        [
            Talker(port: port, side: 0, kind: .unicast, interval: 13), Talker(port: port, side: 1, kind: .unicast, interval: 40),
            Talker(port: port, side: 0, kind: .groupIPv4, interval: 120),
            Talker(port: port, side: 1, kind: .groupIPv4, interval: 150),
            Talker(port: port, side: 0, kind: .groupIPv6, interval: 170),
            Talker(port: port, side: 1, kind: .groupIPv6, interval: 190),
            Talker(port: port, side: 0, kind: .groupOther, interval: 230),
            Talker(port: port, side: 1, kind: .groupOther, interval: 210),
        ]
    }
    /// One BFD session and nothing else.
    static let onlyBFD = [Talker(kind: .unicast, interval: 300)]
}
