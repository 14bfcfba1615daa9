import Machine
import Records
import Wire

/// The first message of each side: who it is and what it speaks. A twin that does not fit is refused with a reason.
public struct Hello: Hashable, Sendable {
    /// `LOCKSTEP` in ASCII.
    static let magic: UInt64 = 0x4c4f_434b_5354_4550
    /// Of this message alone, which must be read before anything is agreed. What follows it has schemas of its own.
    public static let protocolVersion: UInt16 = 3

    public var protocolVersion = Hello.protocolVersion
    /// What of messages, records, sections of a snapshot and the like it reads and writes.
    public var schemas: SchemaMap
    public var routerName: String
    public var pairID: UInt64
    public var controller: ControllerID
    public var state: ControllerState
    /// The epoch in which it is or last was in lock step.
    public var epoch: Epoch
    public var wasActive: Bool
    public var isPreferred: Bool
    public var bootNonce: UInt64
    /// The configuration that was in force last as far as it knows.
    public var configuration: ConfigurationPosition
    /// It held one and cannot read it any more: `configuration` says nothing.
    public var hasLostConfiguration: Bool
    /// Authenticates its dying gasps.
    public var gaspToken: DyingGasp.Token
    /// Made at the first start of a controller and kept with its datastore: tells a copied file from a twin. 0: none.
    public var identity: UInt64
    /// Of the key of the pair's beats that it has kept, 0 for none, and its share of a new one.
    public var keyFingerprint: UInt64
    public var keyShare: PairKey
    public var arbiter: ArbiterKind
    /// How long it waits for a silent twin.
    public var detectionTime: Duration

    public init(
        routerName: String, pairID: UInt64, controller: ControllerID, state: ControllerState, epoch: Epoch,
        wasActive: Bool, isPreferred: Bool, bootNonce: UInt64, configuration: ConfigurationPosition,
        hasLostConfiguration: Bool = false, gaspToken: DyingGasp.Token, identity: UInt64 = 0, keyFingerprint: UInt64 = 0,
        keyShare: PairKey = PairKey(high: 0, low: 0), arbiter: ArbiterKind = .link,
        detectionTime: Duration = .milliseconds(50), schemas: SchemaMap = SchemaMap([ChannelSchema.part, RecordSchema.part])
    ) {
        self.schemas = schemas
        self.identity = identity
        self.keyFingerprint = keyFingerprint
        self.keyShare = keyShare
        self.arbiter = arbiter
        self.detectionTime = detectionTime
        self.routerName = routerName
        self.pairID = pairID
        self.controller = controller
        self.state = state
        self.epoch = epoch
        self.wasActive = wasActive
        self.isPreferred = isPreferred
        self.bootNonce = bootNonce
        self.configuration = configuration
        self.hasLostConfiguration = hasLostConfiguration
        self.gaspToken = gaspToken
    }

    /// Why this twin cannot be ours, or `nil`. Deterministic and symmetric: both sides come to the same verdict.
    public func refusal(of twin: Hello) -> Refusal? {
        if twin.protocolVersion != protocolVersion {
            return .protocolVersion(ours: protocolVersion, theirs: twin.protocolVersion)
        }
        if twin.pairID != pairID { return .pairID }
        if twin.routerName != routerName { return .routerName(ours: routerName, theirs: twin.routerName) }
        if identity != 0, twin.identity == identity { return .identity }
        if twin.controller == controller { return .controllerID(controller) }
        if twin.arbiter != arbiter { return .arbiter(ours: arbiter, theirs: twin.arbiter) }
        let differences = schemas.differences(twin.schemas)
        if !differences.isEmpty { return .schemas(differences, own: controller) }
        return nil
    }

    /// FIG. 10A with both booting: which of the two goes first. Who holds the configuration that was in force last, or
    /// what was acknowledged to an operator would be undone; then who was active before; then preference; then A.
    public func goesFirst(before twin: Hello) -> Bool {
        // One that is in lock step can resume the sessions; the other cannot.
        if (state == .standby) != (twin.state == .standby) { return state == .standby }
        if configuration != twin.configuration { return configuration > twin.configuration }
        if wasActive != twin.wasActive { return wasActive }
        if wasActive, epoch != twin.epoch { return epoch > twin.epoch }
        if isPreferred != twin.isPreferred { return isPreferred }
        return controller == .a
    }

    public enum Refusal: Hashable, Sendable, CustomStringConvertible {
        case protocolVersion(ours: UInt16, theirs: UInt16)
        case schemas([SchemaMap.Difference], own: ControllerID)
        case pairID
        case routerName(ours: String, theirs: String)
        case controllerID(ControllerID)
        case identity
        case arbiter(ours: ArbiterKind, theirs: ArbiterKind)

        public var description: String {
            switch self {
            case .protocolVersion(let ours, let theirs):
                "it speaks channel protocol \(theirs), this controller \(ours)"
            case .schemas(let differences, let own): Self.words(differences, own)
            case .pairID: "it belongs to another pair: 'pair' must be the same in both controller files"
            case .routerName(let ours, let theirs):
                "it is router '\(theirs)', this is '\(ours)': 'router' must be the same in both controller files"
            case .controllerID(let id):
                "both controllers are configured as \(id): one controller file must say 'controller: a', the other 'controller: b'"
            case .identity:
                "it has the identity of this controller: one of the two was made from a copy of the other's files; "
                    + "remove the copied '.pair' file beside its datastore and start it again"
            case .arbiter(let ours, let theirs):
                "its arbiter is \(theirs.rawValue), this controller's \(ours.rawValue): both controller files must name the same"
            }
        }

        /// Of differences; the others are counted.
        private static let listedMaximum = 3

        private static func words(_ differences: [SchemaMap.Difference], _ own: ControllerID) -> String {
            var list = differences.prefix(listedMaximum).map { $0.words(own) }.joined(separator: "; ")
            if differences.count > listedMaximum { list += "; and \(differences.count - listedMaximum) more" }
            let advice: String
            if differences.allSatisfy(\.isTwinOlder) {
                advice = "update controller \(own.other), which has the older release"
            } else if !differences.contains(where: \.isTwinOlder) {
                advice = "update controller \(own), which has the older release"
            } else {
                advice = "neither release follows the other: install the same one on both controllers"
            }
            return "the two releases cannot be combined: \(list): \(advice)"
        }

        public static func == (a: Self, b: Self) -> Bool { a.description == b.description }
        public func hash(into hasher: inout Hasher) { hasher.combine(description) }
    }

    func write(to writer: inout ByteWriter) {
        writer.u64(Self.magic)
        writer.u16(protocolVersion)
        schemas.write(to: &writer)
        writer.u64(pairID)
        writer.u8(controller.rawValue)
        writer.u8(state.rawValue)
        writer.u64(epoch.value)
        writer.u8(wasActive ? 1 : 0)
        writer.u8(isPreferred ? 1 : 0)
        writer.u64(bootNonce)
        writer.u64(configuration.revision)
        writer.u64(gaspToken.high)
        writer.u64(gaspToken.low)
        writer.u64(identity)
        writer.u64(keyFingerprint)
        writer.u64(keyShare.high)
        writer.u64(keyShare.low)
        writer.u8(arbiter.code)
        writer.u64(UInt64(bitPattern: detectionTime.inNanoseconds))
        writer.text(String(decoding: routerName.utf8.prefix(255), as: UTF8.self))
        writer.u64(configuration.epoch.value)
        writer.u64(configuration.index.value)
        writer.u8(hasLostConfiguration ? 1 : 0)
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        guard try reader.u64("hello magic") == Self.magic else { throw DecodeError("hello magic", at: 0, .badChecksum) }
        protocolVersion = try reader.u16("protocol version")
        schemas = try SchemaMap(from: &reader)
        pairID = try reader.u64("pair")
        controller = try reader.controllerID()
        state = try reader.controllerState()
        epoch = Epoch(try reader.u64("epoch"))
        wasActive = try reader.flag("was active")
        isPreferred = try reader.flag("preferred")
        bootNonce = try reader.u64("boot nonce")
        configuration = ConfigurationPosition(revision: try reader.u64("configuration revision"))
        let high = try reader.u64("gasp token")
        gaspToken = DyingGasp.Token(high: high, low: try reader.u64("gasp token"))
        identity = try reader.u64("identity")
        keyFingerprint = try reader.u64("key fingerprint")
        let share = try reader.u64("key share")
        keyShare = PairKey(high: share, low: try reader.u64("key share"))
        guard let kind = ArbiterKind(code: try reader.u8("arbiter")) else {
            throw DecodeError("arbiter", at: reader.offset - 1, .badValue)
        }
        arbiter = kind
        let detection = try reader.u64("detection time")
        guard detection > 0, detection < 1 << 42 else { throw DecodeError("detection time", at: reader.offset - 8, .badValue) }
        detectionTime = .nanoseconds(Int64(detection))
        routerName = try reader.text("router name")
        hasLostConfiguration = false
        // Version 1 ends here; it is read so that it can be refused by name.
        guard protocolVersion > 1 else { return }
        configuration.epoch = Epoch(try reader.u64("configuration epoch"))
        configuration.index = LogIndex(try reader.u64("configuration index"))
        hasLostConfiguration = try reader.flag("lost configuration")
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func controllerState() throws(DecodeError) -> ControllerState {
        let at = offset
        guard let state = ControllerState(rawValue: try u8("state")) else { throw DecodeError("state", at: at, .badValue) }
        return state
    }
}
