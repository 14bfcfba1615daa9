import Machine
import Records
import Wire

/// One change of what is kept on disk. It is written whole or not at all, here and on the twin (FIG. 14).
public enum DatastoreTransaction: Hashable, Sendable, Codable {
    /// A configuration came into force, at the position that it names. It is the one to begin with, unless a later one is
    /// held already.
    case configuration(ConfigurationRevision)
    /// Somebody speaks as the router from now on.
    case mastership(MastershipEntry)
    case switchover(SwitchoverEntry)
    /// Events in order of their numbers, all of one controller.
    case events([EventEntry])
    /// The configuration that the active has in force: it is the one to begin with, whatever is held. A controller that
    /// went on alone and then follows another may hold one with a later position; it stays in the history.
    case configurationInForce(ConfigurationRevision)
    /// A configuration for the history only.
    case pastConfiguration(ConfigurationRevision)

    /// The forms of `encoded` that this release writes and reads, for the handshake of the two controllers. A case more, or a
    /// value more in one, is a new form.
    public static let schemas: ClosedRange<UInt16> = 1...1

    /// Octets of an encoded transaction: 13 MiB, so that every accepted configuration fits, 4 MiB of text with 8 MiB of
    /// encoding, and who wrote it.
    public static let lengthMaximum = 13 << 20

    /// The octets that the twin's `Datastore.apply` takes.
    /// - Throws: `EncodingError` beyond `BinaryCodingLimits`.
    public func encoded() throws -> [UInt8] { try BinaryEncoder().encode(self) }

    /// - Throws: `DecodingError` if the octets are no transaction of this release or an older one.
    public init(decoding octets: [UInt8]) throws {
        guard octets.count <= Self.lengthMaximum else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: [], debugDescription: "\(octets.count) octets are more than the \(Self.lengthMaximum) allowed"))
        }
        self = try BinaryDecoder().decode(Self.self, from: octets)
    }
}

/// A time of day: microseconds since 1970 in UTC. The one place where it is stored decides its form.
public struct WallTime: Hashable, Comparable, Sendable, Codable {
    public var microseconds: Int64
    public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(from decoder: any Decoder) throws {
        microseconds = try decoder.singleValueContainer().decode(Int64.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(microseconds)
    }
    public static func < (a: Self, b: Self) -> Bool { a.microseconds < b.microseconds }
}

/// A configuration that was in force.
public struct ConfigurationRevision: Hashable, Sendable, Codable {
    /// From 1; grows with each. Each of two controllers that went on alone may have given the same one: both are kept.
    public var number: UInt64
    /// Of the record that brought it into force last; zero if nothing did.
    public var epoch: UInt64
    public var index: UInt64
    public var time: WallTime
    public var author: String
    public var comment: String
    /// As its author wrote it.
    public var text: String
    /// The engine's encoding of it, so that a later release that reads the text differently still starts with this.
    public var octets: [UInt8]

    public init(
        number: UInt64, epoch: UInt64 = 0, index: UInt64 = 0, time: WallTime, author: String, comment: String, text: String,
        octets: [UInt8]
    ) {
        self.number = number
        self.epoch = epoch
        self.index = index
        self.time = time
        self.author = author
        self.comment = comment
        self.text = text
        self.octets = octets
    }
    /// A twin of an older release does not say the position.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        number = try container.decode(UInt64.self, forKey: .number)
        epoch = try container.decodeIfPresent(UInt64.self, forKey: .epoch) ?? 0
        index = try container.decodeIfPresent(UInt64.self, forKey: .index) ?? 0
        time = try container.decode(WallTime.self, forKey: .time)
        author = try container.decode(String.self, forKey: .author)
        comment = try container.decode(String.self, forKey: .comment)
        text = try container.decode(String.self, forKey: .text)
        octets = try container.decode([UInt8].self, forKey: .octets)
    }
    /// When it was in force last.
    public var position: ConfigurationPosition {
        get { ConfigurationPosition(epoch: Epoch(epoch), index: LogIndex(index), revision: number) }
        set {
            epoch = newValue.epoch.value
            index = newValue.index.value
            number = newValue.revision
        }
    }
    /// Tells equal encodings from different ones, on both controllers alike.
    public var digest: UInt64 { seededHash(octets.span.bytes, seed: 0) }
}

/// What a controller finds in its datastore to begin with.
public enum StoredConfiguration: Hashable, Sendable {
    /// Verifiably nothing, ever: this is the first start.
    case never
    /// This was in force last.
    case inForce(ConfigurationRevision)
    /// There may have been one, and it is not to be had. Beginning with anything else would undo what an operator was
    /// told is in force; the text says what is wrong.
    case lost(String)
}

/// Who spoke as the router in an epoch.
public struct MastershipEntry: Hashable, Sendable, Codable {
    public var epoch: UInt64
    public var controller: ControllerID
    public var time: WallTime
    public init(epoch: UInt64, controller: ControllerID, time: WallTime) {
        self.epoch = epoch
        self.controller = controller
        self.time = time
    }
}

/// A switchover that ended, one way or the other.
public struct SwitchoverEntry: Hashable, Sendable, Codable {
    public struct Step: Hashable, Sendable, Codable {
        public var name: String
        /// Since the switchover began.
        public var elapsedMicroseconds: Int64
        public var detail: String?
        public init(name: String, elapsedMicroseconds: Int64, detail: String? = nil) {
            self.name = name
            self.elapsedMicroseconds = elapsedMicroseconds
            self.detail = detail
        }
    }
    public var started: WallTime
    public var isGraceful: Bool
    public var reason: String
    public var from: ControllerID
    public var to: ControllerID
    /// The epoch after it.
    public var epoch: UInt64
    public var durationMicroseconds: Int64
    /// `nil`: it was done; else why it was aborted.
    public var abort: String?
    public var steps: [Step]

    public init(
        started: WallTime, isGraceful: Bool, reason: String, from: ControllerID, to: ControllerID, epoch: UInt64,
        durationMicroseconds: Int64, abort: String? = nil, steps: [Step]
    ) {
        self.started = started
        self.isGraceful = isGraceful
        self.reason = reason
        self.from = from
        self.to = to
        self.epoch = epoch
        self.durationMicroseconds = durationMicroseconds
        self.abort = abort
        self.steps = steps
    }
}

/// An event with its place in the log of one controller.
public struct EventEntry: Hashable, Sendable, Codable {
    /// Grows by one with each event of the controller.
    public var number: UInt64
    public var time: WallTime
    public var controller: ControllerID
    public var event: Event

    public init(number: UInt64, time: WallTime, controller: ControllerID, event: Event) {
        self.number = number
        self.time = time
        self.controller = controller
        self.event = event
    }
}

/// Why something is not on disk.
public struct DatastoreFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// No room on the device, or the file has reached its quota.
        case full
        /// The file or its directory may not be written, or cannot be opened.
        case inaccessible
        /// The file was damaged; it has been moved aside.
        case damaged
        /// The file is of a later release; it is left alone.
        case laterRelease
        /// The octets are no transaction, or hold what no file can hold.
        case notUnderstood
        case other
    }
    public var kind: Kind
    public var reason: String
    public init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }
    public var description: String { reason }
}

/// What became of a transaction.
public enum DatastoreOutcome: Hashable, Sendable {
    /// It is on disk.
    case stored
    /// It is in memory and is tried again. The router goes on.
    case deferred(DatastoreFailure)
    /// It is neither, and it will not help to try again.
    case refused(DatastoreFailure)

    /// What to tell the twin: `nil` acknowledges, text refuses (FIG. 14).
    public var refusal: String? {
        switch self {
        case .stored: nil
        case .deferred(let failure), .refused(let failure): failure.reason
        }
    }
}
