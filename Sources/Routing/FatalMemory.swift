import Machine
import Records
import Wire

/// Something that may have been fatal, as it is known again.
public struct FatalForm: Hashable, Sendable {
    /// Digests of it, by any of which it is known at once. They leave out what its sender changes when it says it again:
    /// ages, lifetimes, sequence numbers of packets.
    public var exact: [UInt64]
    /// A digest of what another form of the same would still have: two fatal forms that have it in common are known by it
    /// alone from then on. `nil`: there is no such thing.
    public var common: UInt64?

    public init(exact: [UInt64], common: UInt64? = nil) {
        self.exact = exact
        self.common = common
    }
}

/// What of a protocol's packets was fatal to a controller, and who sent it, so that nobody dies of it a second time.
///
/// Whoever was fatal is held down, that is, not listened to, until somebody could survive it in yet another form: a pause
/// after the pair has become redundant, or `holdMaximum` if it does not. The pause doubles with each fault of the day. What
/// it said is known again by digests that the protocol makes (`FatalForm`), from octets and without its decoder: what was
/// fatal to that one must not meet it again to be recognised.
///
/// Bounds: `sourcesMaximum` senders and `itemsMaximum` digests, of which the oldest give way. All of it is forgotten after
/// a day, or when an operator clears the neighbour.
public struct FatalMemory: Sendable {
    public static let sourcesMaximum = 256
    public static let itemsMaximum = 4096
    public static let memory = Duration.seconds(86_400)
    /// After the pair has become redundant.
    public static let pause = Duration.seconds(2)
    /// While it is not.
    public static let holdMaximum = Duration.seconds(600)

    /// Who was fatal.
    public struct Source: Hashable, Sendable {
        public var interface: InterfaceID
        public var address: PacketAddress
        public var faults: UInt32
        /// Not listened to before this.
        public var heldUntil: Instant
        /// When it is forgotten.
        public var until: Instant
    }
    struct Item: Hashable, Sendable {
        var digest: UInt64
        /// Position-free name of its source, for forgetting.
        var source: UInt64
        /// The fault that had it last, and how many had it.
        var fault: UInt64
        var times: UInt32
        /// Faults that must have had it before it is known by this alone: 1, or 2 for what forms have in common.
        var needed: UInt32
        var until: Instant
    }
    /// The oldest first.
    public private(set) var sources: [Source] = []
    private(set) var items: [Item] = []
    /// Positions in `items`, ascending by digest: derived.
    private var order: [Int32] = []
    private var faultCount: UInt64 = 0
    /// Whether the pair has a standby in lock step.
    private var isRedundant = false

    public init() {}

    /// Whether nothing was ever fatal, which is so in nearly every router: the only question on the way of a packet.
    public var isEmpty: Bool { sources.isEmpty }

    /// What `Item.source` says.
    public static func name(_ address: PacketAddress, on interface: InterfaceID) -> UInt64 {
        switch address {
        case .ip(.v4(let a)): seededHash(UInt64(a.raw), 4, seed: UInt64(interface.value))
        case .ip(.v6(let a)): seededHash(a.high, a.low, seed: UInt64(interface.value) << 8 | 6)
        case .station(let a): seededHash(a.raw, 2, seed: UInt64(interface.value))
        }
    }

    // MARK: learning

    /// A packet of this sender was fatal; `forms` is what may have been it.
    public mutating func learn(
        _ forms: [FatalForm], from address: PacketAddress, on interface: InterfaceID, at now: Instant
    ) {
        sources.removeAll { $0.until <= now }
        items.removeAll { $0.until <= now }
        faultCount &+= 1
        let until = now + Self.memory
        var faults: UInt32 = 1
        if let i = sources.firstIndex(where: { $0.address == address && $0.interface == interface }) {
            faults = min(sources[i].faults + 1, 1 << 16)
            sources.remove(at: i)
        }
        if sources.count == Self.sourcesMaximum { sources.removeFirst() }
        sources.append(
            Source(
                interface: interface, address: address, faults: faults, heldUntil: now + Self.hold(faults, isRedundant),
                until: until))
        let source = Self.name(address, on: interface)
        // Looked up, never iterated.
        var places: [UInt64: Int] = [:]
        for i in items.indices { places[items[i].digest] = i }
        func note(_ digest: UInt64, needed: UInt32) {
            if let i = places[digest] {
                if items[i].fault != faultCount { items[i].times = min(items[i].times + 1, 1 << 16) }
                items[i].fault = faultCount
                items[i].until = until
            } else {
                places[digest] = items.count
                items.append(
                    Item(digest: digest, source: source, fault: faultCount, times: 1, needed: needed, until: until))
            }
        }
        for form in forms {
            for digest in form.exact { note(digest, needed: 1) }
            if let common = form.common { note(common, needed: 2) }
        }
        items.removeFirst(max(0, items.count - Self.itemsMaximum))
        index()
    }

    /// How long somebody who was fatal so often is not listened to from now on.
    public static func hold(_ faults: UInt32, _ isRedundant: Bool) -> Duration {
        guard isRedundant else { return holdMaximum }
        // 2, 4, 8, … 512, 600 seconds.
        return faults > 9 ? holdMaximum : .nanoseconds(pause.inNanoseconds << Int64(max(faults, 1) - 1))
    }

    /// Whoever says again what was fatal where nothing can be answered is not listened to for a while.
    public mutating func hold(_ address: PacketAddress, on interface: InterfaceID, until: Instant) {
        for i in sources.indices where sources[i].address == address && sources[i].interface == interface {
            sources[i].heldUntil = max(sources[i].heldUntil, until)
        }
    }

    /// Who is held down may come back when somebody could survive it.
    public mutating func note(isRedundant: Bool, at now: Instant) {
        guard isRedundant != self.isRedundant else { return }
        self.isRedundant = isRedundant
        for i in sources.indices where sources[i].heldUntil > now {
            sources[i].heldUntil = now + Self.hold(sources[i].faults, isRedundant)
        }
    }

    // MARK: forgetting

    /// - Parameter isMeant: the senders of whom nothing shall be remembered.
    /// - Returns: whether there were any.
    @discardableResult
    public mutating func forget(_ isMeant: (Source) -> Bool) -> Bool {
        let names = sources.filter(isMeant).map { Self.name($0.address, on: $0.interface) }
        guard !names.isEmpty else { return false }
        sources.removeAll(where: isMeant)
        items.removeAll { names.contains($0.source) }
        index()
        return true
    }

    // MARK: knowing again

    /// Whether this sender is not to be listened to now.
    public func isHeld(_ address: PacketAddress, on interface: InterfaceID, at now: Instant) -> Bool {
        sources.contains { $0.heldUntil > now && $0.address == address && $0.interface == interface }
    }

    /// Whether what has this digest was fatal.
    public func isKnown(_ digest: UInt64, at now: Instant) -> Bool {
        let low = order.sortedIndex { items[Int($0)].digest < digest }
        guard low < order.count else { return false }
        let item = items[Int(order[low])]
        return item.digest == digest && item.times >= item.needed && item.until > now
    }

    /// Whether any of these digests, or what they have in common with others, was fatal.
    public func isKnown(_ form: FatalForm, at now: Instant) -> Bool {
        if let common = form.common, isKnown(common, at: now) { return true }
        return form.exact.contains { isKnown($0, at: now) }
    }

    /// Each digest is there once.
    private mutating func index() {
        order = (0..<Int32(items.count)).sorted { items[Int($0)].digest < items[Int($1)].digest }
    }

    public var digest: UInt64 {
        var digest = StateDigest()
        digest.mix(faultCount << 1 | (isRedundant ? 1 : 0))
        digest.mix(UInt64(sources.count) << 32 | UInt64(items.count))
        for source in sources {
            digest.mix(Self.name(source.address, on: source.interface) ^ UInt64(source.faults))
            digest.mix(UInt64(bitPattern: source.heldUntil.nanoseconds))
        }
        return digest.value
    }
}

extension FatalMemory.Source: Fielded {
    public static var blank: Self {
        .init(interface: InterfaceID(0), address: .blank, faults: 0, heldUntil: .zero, until: .zero)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&address)
        try visitor.field(&faults)
        try visitor.require(faults <= 1 << 16, "faults of a source")
        try visitor.field(&heldUntil)
        try visitor.field(&until)
    }
}

extension FatalMemory.Item: Fielded {
    static var blank: Self { .init(digest: 0, source: 0, fault: 0, times: 0, needed: 0, until: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&digest)
        try visitor.field(&source)
        try visitor.field(&fault)
        try visitor.field(&times)
        try visitor.require(times <= 1 << 16, "faults of an item")
        try visitor.field(&needed)
        try visitor.field(&until)
    }
}

extension FatalMemory: Fielded {
    public static var blank: Self { .init() }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&faultCount)
        try visitor.field(&isRedundant)
        try visitor.list(&sources, maximum: Self.sourcesMaximum)
        try visitor.list(&items, maximum: Self.itemsMaximum)
        visitor.derived(order)
        if visitor.isReading { index() }
    }
}
