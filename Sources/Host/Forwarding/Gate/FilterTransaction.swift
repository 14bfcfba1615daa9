import Wire

/// One transaction of nf_tables: all of it comes into force at one moment, or nothing does.
///
/// Built without the `nft` program: a transaction takes tens of microseconds where a process takes milliseconds, and
/// the daemon needs nothing installed.
final class FilterTransaction {
    enum Family: UInt8 {
        case inet = 1, arp = 3, netdev = 5
    }
    enum Hook {
        case ingress, egress, prerouting, forward, output, arpInput
        var number: UInt32 {
            switch self {
            case .ingress, .prerouting, .arpInput: 0
            case .egress: 1
            case .forward: 2
            case .output: 3
            }
        }
    }
    enum MetaKey: UInt32 {
        case inputDevice = 4, outputDevice = 5, networkProtocol = 15, transportProtocol = 16, packetType = 19
    }
    enum Base: UInt32 {
        case network = 1, transport = 2
    }
    /// What a rule is made of: values are loaded into register 1 and judged there; the first that does not hold ends
    /// the rule.
    enum Step {
        case meta(MetaKey)
        case payload(Base, offset: UInt32, count: UInt32)
        case equals([UInt8])
        case differs([UInt8])
        case isIn(String)
        case isNotIn(String)
        case accept
        case drop
    }
    enum KeyType {
        case ipv4, ipv6, device
        var number: UInt32 {
            switch self {
            case .ipv4: 7
            case .ipv6: 8
            case .device: 20
            }
        }
        var count: UInt32 { self == .ipv6 ? 16 : 4 }
    }
    private enum Message {
        static let batchBegin: UInt16 = 0x10, batchEnd: UInt16 = 0x11
        static let newTable: UInt16 = 0, deleteTable: UInt16 = 2, newChain: UInt16 = 3, newRule: UInt16 = 6
        static let newSet: UInt16 = 9, newElement: UInt16 = 12, deleteElement: UInt16 = 14
    }
    private static let subsystem: UInt16 = 10

    private let socket: NetlinkSocket
    private let batch = NetlinkBatch(capacity: 128 << 10)
    private let table: String
    private var setCount: UInt32 = 0

    init(_ socket: NetlinkSocket, table: String) {
        self.socket = socket
        self.table = table
        batch.begin(Message.batchBegin, flags: 0, sequence: socket.nextSequence())
        header(0, resource: Self.subsystem)
        batch.end()
    }

    /// Carries it out. The kernel is done when this returns.
    func commit() throws(NetlinkSocket.Failure) {
        batch.begin(Message.batchEnd, flags: 0, sequence: socket.nextSequence())
        header(0, resource: Self.subsystem)
        batch.end()
        let code = socket.send(batch)
        guard code == 0 else { throw NetlinkSocket.Failure(code: code) }
        var failure: NetlinkSocket.Failure?
        while socket.receive({ message in
            guard failure == nil, message.type == NetlinkType.error, message.errorCode != 0 else { return }
            failure = NetlinkSocket.Failure(code: message.errorCode, text: message.errorText)
        }) == .messages {}
        if let failure { throw failure }
    }

    // MARK: tables, chains, sets

    /// An empty table in the place of whatever was there.
    func replaceTable(_ family: Family) {
        for type in [Message.newTable, Message.deleteTable, Message.newTable] { tableMessage(type, family) }
    }
    /// Makes sure that there is none.
    func removeTable(_ family: Family) {
        for type in [Message.newTable, Message.deleteTable] { tableMessage(type, family) }
    }
    private func tableMessage(_ type: UInt16, _ family: Family) {
        begin(type, family, flags: type == Message.newTable ? NetlinkFlag.create : 0)
        batch.attribute(1, text: table)
        batch.end()
    }

    func chain(
        _ name: String, _ family: Family, _ hook: Hook, priority: Int32, drops: Bool = false, devices: [String] = []
    ) {
        begin(Message.newChain, family, flags: NetlinkFlag.create)
        batch.attribute(1, text: table)
        batch.attribute(3, text: name)
        let at = nest(4)
        word(1, hook.number)
        word(2, UInt32(bitPattern: priority))
        if !devices.isEmpty {
            let list = nest(4)
            for device in devices { batch.attribute(1, text: device) }
            batch.endNest(list)
        }
        batch.endNest(at)
        word(5, drops ? 0 : 1)
        batch.attribute(7, text: "filter")
        batch.end()
    }

    func set(_ name: String, _ family: Family, _ type: KeyType, hasTimeouts: Bool = false) {
        setCount += 1
        begin(Message.newSet, family, flags: NetlinkFlag.create)
        batch.attribute(1, text: table)
        batch.attribute(2, text: name)
        word(3, hasTimeouts ? 0x10 : 0)
        word(4, type.number)
        word(5, type.count)
        word(10, setCount)
        batch.end()
    }

    /// - Parameter timeout: after which the kernel forgets the element.
    func add(_ elements: [[UInt8]], to set: String, _ family: Family, timeout: Duration? = nil) {
        // An attribute has at most 65,535 octets.
        var rest = elements[...]
        while !rest.isEmpty {
            begin(Message.newElement, family, flags: NetlinkFlag.create)
            batch.attribute(1, text: table)
            batch.attribute(2, text: set)
            let list = nest(3)
            for element in rest.prefix(500) {
                let item = nest(1)
                let key = nest(1)
                batch.attribute(1, bytes: element)
                batch.endNest(key)
                if let timeout {
                    batch.u16(12)
                    batch.u16(4)
                    batch.u64(UInt64(max(1, timeout.inMilliseconds)).bigEndian)
                }
                batch.endNest(item)
            }
            batch.endNest(list)
            batch.end()
            rest = rest.dropFirst(500)
        }
    }

    /// Empties a set.
    func empty(_ set: String, _ family: Family) {
        begin(Message.deleteElement, family, flags: 0)
        batch.attribute(1, text: table)
        batch.attribute(2, text: set)
        batch.end()
    }

    func rule(_ chain: String, _ family: Family, _ steps: [Step]) {
        begin(Message.newRule, family, flags: NetlinkFlag.create | NetlinkFlag.append)
        batch.attribute(1, text: table)
        batch.attribute(2, text: chain)
        let list = nest(4)
        for step in steps { write(step) }
        batch.endNest(list)
        batch.end()
    }

    private func write(_ step: Step) {
        switch step {
        case .meta(let key):
            expression("meta") {
                word(1, 1)
                word(2, key.rawValue)
            }
        case .payload(let base, let offset, let count):
            expression("payload") {
                word(1, 1)
                word(2, base.rawValue)
                word(3, offset)
                word(4, count)
            }
        case .equals(let bytes): compare(bytes, 0)
        case .differs(let bytes): compare(bytes, 1)
        case .isIn(let set): lookup(set, isInverse: false)
        case .isNotIn(let set): lookup(set, isInverse: true)
        case .accept: verdict(1)
        case .drop: verdict(0)
        }
    }
    private func compare(_ bytes: [UInt8], _ operation: UInt32) {
        expression("cmp") {
            word(1, 1)
            word(2, operation)
            let at = nest(3)
            batch.attribute(1, bytes: bytes)
            batch.endNest(at)
        }
    }
    private func lookup(_ set: String, isInverse: Bool) {
        expression("lookup") {
            batch.attribute(1, text: set)
            word(2, 1)
            if isInverse { word(5, 1) }
        }
    }
    private func verdict(_ code: UInt32) {
        expression("immediate") {
            word(1, 0)
            let data = nest(2)
            let verdict = nest(2)
            word(1, code)
            batch.endNest(verdict)
            batch.endNest(data)
        }
    }

    // MARK: octets

    private func expression(_ name: String, _ body: () -> Void) {
        let item = nest(1)
        batch.attribute(1, text: name)
        let data = nest(2)
        body()
        batch.endNest(data)
        batch.endNest(item)
    }
    private func begin(_ type: UInt16, _ family: Family, flags: UInt16) {
        batch.begin(Self.subsystem << 8 | type, flags: flags, sequence: socket.nextSequence())
        header(family.rawValue, resource: 0)
    }
    /// struct nfgenmsg
    private func header(_ family: UInt8, resource: UInt16) {
        batch.u8(family)
        batch.u8(0)
        batch.u16(resource.bigEndian)
    }
    private func nest(_ type: UInt16) -> Int { batch.nest(type | NetlinkType.nested) }
    private func word(_ type: UInt16, _ value: UInt32) { batch.attribute(type, value.bigEndian) }
}
