import Machine
import Wire

/// A BGP speaker of the simulated world: simple, strict and written apart from the router's own codec, so that an error
/// common to both sides of one codec cannot hide.
///
/// It announces IPv4 prefixes with its own AS path, notes what it is told, and remembers every way in which the router
/// broke the session or the stream.
struct BGPSpeaker {
    /// What a peer knows of a prefix.
    struct Path: Equatable {
        var asPath: [UInt32]
        var nextHop: UInt32
    }

    enum State { case idle, openSent, openConfirm, established }

    let asNumber: UInt32
    let identifier: UInt32
    let address: IPv4Address
    private(set) var state = State.idle
    /// What we announce: prefix (address << 8 | length) to the tail of the AS path.
    private(set) var announced = SortedTable<UInt64, [UInt32]>()
    /// What the router announced to us.
    private(set) var learnt = SortedTable<UInt64, Path>()
    private var input: [UInt8] = []
    /// Sentences; empty while all is well.
    private(set) var violations: [String] = []
    private(set) var establishments = 0
    private(set) var octetsReceived = 0
    private(set) var updatesReceived = 0
    private(set) var needlessWithdrawals = 0
    /// A session that may be lost without a complaint: the one that a poisonous record belongs to.
    private(set) var mayBeLost = false
    /// Losses beyond the next that are no complaint either.
    private var furtherLosses = 0
    /// An announcement that is fatal to the router's engine; kept and said again in every session, as speakers do.
    private(set) var poison: UInt64?
    /// It is said with other attributes in each session.
    private var isPoisonVaried = false
    /// Who met it packed with something harmless before it was known would keep that back, too, and rightly: a router that
    /// has lost its memory meets it alone first, as in life it need not.
    private var isPoisonAlone = false
    /// RFC 4724: it says that it forwards while it restarts, and that it has restarted.
    private var offersRestart = false
    private var hasRestarted = false
    private var nextKeepalive: Instant?
    private var lastHeard = Instant.zero
    /// What we propose, 3…255.
    let holdSeconds: Int64

    init(asNumber: UInt32, identifier: UInt32, address: IPv4Address, holdSeconds: Int64 = 90) {
        self.asNumber = asNumber
        self.identifier = identifier
        self.address = address
        self.holdSeconds = holdSeconds
    }

    var nextDeadline: Instant? { nextKeepalive }

    /// From now on one loss of the session is no complaint; the next establishment ends that.
    /// A router that begins anew knows nothing of what was fatal to the one before.
    mutating func expectLoss(isMemoryLost: Bool = true) {
        mayBeLost = true
        guard poison != nil else { return }
        furtherLosses = isPoisonVaried ? 2 : 1
        isPoisonAlone = isPoisonAlone || isMemoryLost
    }

    /// Whatever happens to the session is no complaint, however often: BFD may take it down, and nobody promised otherwise.
    var isIndulgent = false

    private mutating func complain(_ sentence: String) {
        if !mayBeLost, !isIndulgent { violations.append("AS \(asNumber): \(sentence)") }
    }

    /// The session has not come up, and nothing was heard for a while.
    func waitsInVain(at now: Instant) -> Bool {
        (state == .openSent || state == .openConfirm) && now - lastHeard > .seconds(4)
    }

    // MARK: the connection

    /// Octets to send.
    mutating func connected(at now: Instant) -> [UInt8] {
        input = []
        state = .openSent
        lastHeard = now
        return open()
    }

    mutating func closed(_ reason: String) {
        if state == .established { complain("the established session ended: \(reason)") }
        state = .idle
        nextKeepalive = nil
        learnt.removeAll()
        input = []
    }

    /// The power failed: what was configured is there again, and nothing else. Nobody was told.
    mutating func reboot() {
        hasRestarted = offersRestart
        state = .idle
        nextKeepalive = nil
        learnt.removeAll()
        input = []
    }

    mutating func time(at now: Instant) -> [UInt8] {
        guard let due = nextKeepalive, due <= now else { return [] }
        nextKeepalive = now + .seconds(holdSeconds / 3)
        if state == .established, now - lastHeard > .seconds(holdSeconds) {
            complain("nothing was heard for \(holdSeconds) seconds")
        }
        return message(4, [])
    }

    /// Octets from the router; returns octets to send. `close`: the session cannot go on.
    mutating func received(_ bytes: [UInt8], at now: Instant) -> (send: [UInt8], close: Bool) {
        octetsReceived += bytes.count
        lastHeard = now
        input += bytes
        var send: [UInt8] = []
        var at = 0
        while input.count - at >= 19 {
            let length = Int(input[at + 16]) << 8 | Int(input[at + 17])
            guard input[at..<(at + 16)].allSatisfy({ $0 == 255 }), length >= 19, length <= 4096 else {
                complain("the stream is not framed as BGP at octet \(octetsReceived - input.count + at)")
                return (send, true)
            }
            guard input.count - at >= length else { break }
            let body = Array(input[(at + 19)..<(at + length)])
            let type = input[at + 18]
            at += length
            switch (type, state) {
            case (1, .openSent):
                state = .openConfirm
                send += message(4, [])
            case (4, .openConfirm):
                state = .established
                establishments += 1
                mayBeLost = furtherLosses > 0
                furtherLosses = max(0, furtherLosses - 1)
                nextKeepalive = now + .seconds(holdSeconds / 3)
                send += fullTable()
            case (4, .established):
                break
            case (2, .established):
                updatesReceived += 1
                if let problem = update(body) {
                    complain(problem)
                    return (send, true)
                }
            case (5, .established):
                send += fullTable()
            case (3, _):
                if state == .established { complain("NOTIFICATION \(body.prefix(2))") }
                state = .idle
                nextKeepalive = nil
                return (send, true)
            default:
                complain("message type \(type) in state \(state)")
                return (send, true)
            }
        }
        input.removeFirst(at)
        return (send, false)
    }

    /// From the next session on.
    mutating func offerRestart() -> [UInt8] {
        offersRestart = true
        return []
    }

    // MARK: bad manners

    func keepalive() -> [UInt8] { state == .established ? message(4, []) : [] }

    /// Everything once more, and the end of it, as if the session had just begun.
    func repetition() -> [UInt8] {
        guard state == .established else { return [] }
        return announcements.flatMap { announcement($0, $1) } + message(2, [0, 0, 0, 0])
    }

    /// RFC 2918: the router is to tell everything once more.
    func refreshRequest() -> [UInt8] { state == .established ? message(5, [0, 1, 0, 1]) : [] }

    /// Withdraws what was never announced; who must not be withdrawn is left alone.
    func needlessWithdrawal(_ prefixes: [UInt64]) -> [UInt8] {
        guard state == .established else { return [] }
        return prefixes.filter { announced[$0] == nil }.flatMap { prefix in
            let nlri = Self.nlri(prefix)
            return message(2, [0, UInt8(nlri.count)] + nlri + [0, 0])
        }
    }

    /// RFC 4486: an administrative reset, after which the session is over.
    mutating func cease() -> [UInt8] {
        expectLoss(isMemoryLost: false)
        let bytes = message(3, [6, 4])
        closed("it was cleared")
        return bytes
    }

    // MARK: what we say

    /// Announces or replaces; returns octets to send, none while the session is down.
    mutating func announce(_ prefix: UInt64, tail: [UInt32]) -> [UInt8] {
        announced[prefix] = tail
        return state == .established ? announcement(prefix, tail) : []
    }

    mutating func withdraw(_ prefix: UInt64) -> [UInt8] {
        guard announced.remove(prefix) != nil, state == .established else { return [] }
        let nlri = Self.nlri(prefix)
        return message(2, [0, UInt8(nlri.count)] + nlri + [0, 0])
    }

    /// Announces what is fatal, and keeps it. Nobody else may hear of it, and it may cost this session: once, or twice if it
    /// comes in another form the second time.
    mutating func poison(_ prefix: UInt64, isVaried: Bool) -> [UInt8] {
        poison = prefix
        isPoisonVaried = isVaried
        furtherLosses = isVaried ? 1 : 0
        return state == .established ? announcement(prefix, poisonTail) : []
    }
    private var poisonTail: [UInt32] { isPoisonVaried ? [UInt32(200 + establishments % 40)] : [] }

    /// Announces many prefixes with one path, as few UPDATEs as 4,096 octets allow.
    mutating func announce(_ prefixes: [UInt64], tail: [UInt32]) -> [UInt8] {
        for prefix in prefixes { announced[prefix] = tail }
        guard state == .established else { return [] }
        var bytes: [UInt8] = []
        var rest = prefixes[...]
        while !rest.isEmpty {
            bytes += announcement(rest.prefix(700), tail)
            rest = rest.dropFirst(700)
        }
        return bytes
    }

    private func fullTable() -> [UInt8] {
        var fatal: [UInt8] = []
        if let poison {
            // Packed otherwise than the first time: with something harmless that has the same path.
            let companion = isPoisonAlone ? [] : announcements.first { $0.1 == poisonTail }.map { [$0.0] } ?? []
            fatal = announcement((companion + [poison])[...], poisonTail)
        }
        return announcements.flatMap { announcement($0, $1) } + fatal + message(2, [0, 0, 0, 0])
    }

    private func announcement(_ prefix: UInt64, _ tail: [UInt32]) -> [UInt8] { announcement([prefix], tail) }

    private func announcement(_ prefixes: ArraySlice<UInt64>, _ tail: [UInt32]) -> [UInt8] {
        let path = [asNumber] + tail
        var attributes: [UInt8] = [0x40, 1, 1, 0]
        attributes += [0x40, 2, UInt8(2 + 4 * path.count), 2, UInt8(path.count)] + path.flatMap(Self.word)
        attributes += [0x40, 3, 4] + Self.word(address.raw)
        return message(
            2,
            [0, 0, UInt8(attributes.count >> 8), UInt8(attributes.count & 255)] + attributes
                + prefixes.flatMap(Self.nlri))
    }

    private func open() -> [UInt8] {
        // Capabilities: IPv4 unicast, route refresh, four-octet AS.
        var capabilities: [UInt8] = [1, 4, 0, 1, 0, 1, 2, 0, 65, 4] + Self.word(asNumber)
        // RFC 4724 §3: 120 seconds, IPv4 unicast preserved.
        if offersRestart { capabilities += [64, 6, hasRestarted ? 0x80 : 0, 120, 0, 1, 1, 0x80] }
        let short = asNumber > 65535 ? 23456 : UInt16(asNumber)
        return message(
            1,
            [4, UInt8(short >> 8), UInt8(short & 255), 0, UInt8(holdSeconds)] + Self.word(identifier)
                + [UInt8(capabilities.count + 2), 2, UInt8(capabilities.count)] + capabilities)
    }

    private func message(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        let length = body.count + 19
        return [UInt8](repeating: 255, count: 16) + [UInt8(length >> 8), UInt8(length & 255), type] + body
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    private static func nlri(_ prefix: UInt64) -> [UInt8] {
        let length = UInt8(prefix & 255)
        return [length] + word(UInt32(prefix >> 8)).prefix((Int(length) + 7) / 8)
    }

    // MARK: what we hear

    /// The sentence of what is wrong, or nil.
    private mutating func update(_ body: [UInt8]) -> String? {
        guard body.count >= 4 else { return "an UPDATE of \(body.count) octets" }
        let withdrawnLength = Int(body[0]) << 8 | Int(body[1])
        guard body.count >= withdrawnLength + 4 else { return "an UPDATE whose withdrawn routes overrun it" }
        guard let withdrawn = Self.prefixes(body[2..<(2 + withdrawnLength)]) else { return "malformed withdrawn routes" }
        let start = 2 + withdrawnLength
        let attributeLength = Int(body[start]) << 8 | Int(body[start + 1])
        guard body.count >= start + 2 + attributeLength else { return "an UPDATE whose attributes overrun it" }
        guard let announced = Self.prefixes(body[(start + 2 + attributeLength)...]) else { return "malformed NLRI" }
        for prefix in withdrawn {
            // RFC 4271 §3.1 does not forbid to withdraw what was never announced, and after a soft clear the router does
            // so rather than remember, for each neighbour, what it knows.
            if learnt.remove(prefix) == nil { needlessWithdrawals += 1 }
        }
        if announced.isEmpty { return nil }

        var path = Path(asPath: [], nextHop: 0)
        var types: [UInt8] = []
        var at = start + 2
        let end = at + attributeLength
        while at < end {
            guard end - at >= 3 else { return "a truncated attribute" }
            let flags = body[at], type = body[at + 1]
            let extended = flags & 0x10 != 0
            guard !extended || end - at >= 4 else { return "a truncated attribute" }
            let length = extended ? Int(body[at + 2]) << 8 | Int(body[at + 3]) : Int(body[at + 2])
            at += extended ? 4 : 3
            guard end - at >= length else { return "attribute \(type) overruns the list" }
            let value = body[at..<(at + length)]
            at += length
            types.append(type)
            if type == 2, length > 0 {
                guard value.first == 2, length == 2 + 4 * Int(value[value.startIndex + 1]) else { return "a malformed AS_PATH" }
                path.asPath = stride(from: value.startIndex + 2, to: value.endIndex, by: 4).map { Self.word(value, $0) }
            } else if type == 3 {
                guard length == 4 else { return "a malformed NEXT_HOP" }
                path.nextHop = Self.word(value, value.startIndex)
            }
        }
        guard types == types.sorted(), types.starts(with: [1, 2, 3]) else { return "attributes \(types) out of order or missing" }
        guard !path.asPath.contains(asNumber) else { return "a path with our own AS in it" }
        for prefix in announced { learnt[prefix] = path }
        return nil
    }

    private static func word(_ bytes: ArraySlice<UInt8>, _ at: Int) -> UInt32 {
        UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8 | UInt32(bytes[at + 3])
    }

    private static func prefixes(_ bytes: ArraySlice<UInt8>) -> [UInt64]? {
        var result: [UInt64] = []
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let length = bytes[at], octets = (Int(length) + 7) / 8
            guard length <= 32, bytes.endIndex - at > octets else { return nil }
            var address: UInt64 = 0
            for i in 0..<4 { address = address << 8 | (i < octets ? UInt64(bytes[at + 1 + i]) : 0) }
            result.append(address << 8 | UInt64(length))
            at += 1 + octets
        }
        return result
    }

    static func text(_ prefix: UInt64) -> String {
        IPv4Prefix(IPv4Address(raw: UInt32(prefix >> 8)), UInt8(prefix & 255)).description
    }

    /// What is announced, in order of prefixes.
    var announcements: [(prefix: UInt64, tail: [UInt32])] { Array(zip(announced.keys, announced.values)) }

    /// What was learnt, in order of prefixes.
    var view: [(prefix: UInt64, path: Path)] { Array(zip(learnt.keys, learnt.values)) }
}
