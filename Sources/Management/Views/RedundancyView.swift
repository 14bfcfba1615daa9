import Foundation
import Wire

/// `show version`
public struct VersionView: Hashable, Sendable, Codable {
    /// One part of what passes between the two controllers.
    public struct Format: Hashable, Sendable, Codable {
        /// `channel`, `records`, `configuration`, `datastore`, `snapshot` and each of its sections, such as `snapshot/bgp`.
        public var name: String
        /// The schemas that this release reads and writes.
        public var oldest: Int
        public var newest: Int
        /// The schema that is spoken with the twin; missing before there was one.
        public var agreed: Int?

        public init(name: String, oldest: Int, newest: Int, agreed: Int? = nil) {
            self.name = name
            self.oldest = oldest
            self.newest = newest
            self.agreed = agreed
        }
    }

    public var release: String
    /// Version of the management protocol.
    public var management: Int
    /// Version of the datastore's tables.
    public var tables: Int
    /// Version of the introduction by which the two controllers find out what they have in common.
    public var introduction: Int
    /// By name.
    public var formats: [Format]
    public var controller: String
    public var name: String
    public var pid: Int32
    public var started: Date

    public init(
        release: String, management: Int = ManagementProtocol.version, tables: Int, introduction: Int, formats: [Format],
        controller: String, name: String, pid: Int32, started: Date
    ) {
        self.release = release
        self.management = management
        self.tables = tables
        self.introduction = introduction
        self.formats = formats
        self.controller = controller
        self.name = name
        self.pid = pid
        self.started = started
    }
}

/// `show redundancy`
public struct RedundancyView: Hashable, Sendable, Codable {
    /// One of the two controllers.
    public struct Controller: Hashable, Sendable, Codable {
        /// `a` or `b`
        public var id: String
        public var name: String
        /// `booting`, `syncing`, `standby`, `active`, `active-alone`, `offline`, `failed`, `unknown`
        public var state: String
        /// Since when it is in that state.
        public var since: Date?
        public var release: String?

        public init(id: String, name: String, state: String, since: Date? = nil, release: String? = nil) {
            self.id = id
            self.name = name
            self.state = state
            self.since = since
            self.release = release
        }
    }
    /// The channel to the twin.
    public struct Channel: Hashable, Sendable, Codable {
        public var isConnected: Bool
        public var since: Date?
        public var local: String
        public var peer: String
        /// `psk`, `certificates`, `insecure`
        public var security: String
        public var heartbeatInterval: TimeSpan
        public var heartbeatMultiplier: Int
        /// Age of the last heartbeat.
        public var lastHeartbeat: TimeSpan?
        /// Median and 99th percentile of the time from sending a batch to its acknowledgement, over the last ones.
        public var acknowledgementMedian: TimeSpan?
        public var acknowledgement99: TimeSpan?

        public init(
            isConnected: Bool, since: Date? = nil, local: String, peer: String, security: String,
            heartbeatInterval: TimeSpan, heartbeatMultiplier: Int, lastHeartbeat: TimeSpan? = nil,
            acknowledgementMedian: TimeSpan? = nil, acknowledgement99: TimeSpan? = nil
        ) {
            self.isConnected = isConnected
            self.since = since
            self.local = local
            self.peer = peer
            self.security = security
            self.heartbeatInterval = heartbeatInterval
            self.heartbeatMultiplier = heartbeatMultiplier
            self.lastHeartbeat = lastHeartbeat
            self.acknowledgementMedian = acknowledgementMedian
            self.acknowledgement99 = acknowledgement99
        }
    }
    /// Positions in the log.
    public struct Log: Hashable, Sendable, Codable {
        public var appended: UInt64
        public var committed: UInt64
        public var applied: UInt64
        /// What the twin said last.
        public var peerStored: UInt64?
        public var peerApplied: UInt64?
        /// Records and octets that are held for the twin.
        public var held: Int
        public var heldOctets: Int

        public init(
            appended: UInt64, committed: UInt64, applied: UInt64, peerStored: UInt64? = nil, peerApplied: UInt64? = nil,
            held: Int = 0, heldOctets: Int = 0
        ) {
            self.appended = appended
            self.committed = committed
            self.applied = applied
            self.peerStored = peerStored
            self.peerApplied = peerApplied
            self.held = held
            self.heldOctets = heldOctets
        }
    }
    /// "Protocols declare redundancy one by one."
    public struct Part: Hashable, Sendable, Codable {
        /// `bgp`, `transport`, `routing`, `system`, `datastore`
        public var name: String
        public var isRedundant: Bool
        /// Why not.
        public var reason: String?
        public init(name: String, isRedundant: Bool, reason: String? = nil) {
            self.name = name
            self.isRedundant = isRedundant
            self.reason = reason
        }
    }
    public struct BulkUpdate: Hashable, Sendable, Codable {
        public var finished: Date
        public var octets: Int
        public var duration: TimeSpan
        public var longestEnginePause: TimeSpan
        public init(finished: Date, octets: Int, duration: TimeSpan, longestEnginePause: TimeSpan) {
            self.finished = finished
            self.octets = octets
            self.duration = duration
            self.longestEnginePause = longestEnginePause
        }
    }

    public var pair: String
    public var local: Controller
    /// Absent when this controller is configured to be alone.
    public var peer: Controller?
    public var epoch: UInt64
    /// `link`, `leasefile`, `witness`, `etcd`, `none`
    public var arbiter: String
    /// Whether the twin could take over now without losing a session.
    public var isReady: Bool
    /// Why not: each a sentence.
    public var notReady: [String]
    /// Set while new changes are blocked by a switchover, or switchovers by an operator.
    public var blocked: String?
    public var channel: Channel?
    public var log: Log
    public var parts: [Part]
    public var lastBulkUpdate: BulkUpdate?
    public var lastSwitchover: SwitchoverView?
    /// Alarms that stand now.
    public var alarms: [String]

    public init(
        pair: String, local: Controller, peer: Controller? = nil, epoch: UInt64, arbiter: String, isReady: Bool,
        notReady: [String] = [], blocked: String? = nil, channel: Channel? = nil, log: Log, parts: [Part] = [],
        lastBulkUpdate: BulkUpdate? = nil, lastSwitchover: SwitchoverView? = nil, alarms: [String] = []
    ) {
        self.pair = pair
        self.local = local
        self.peer = peer
        self.epoch = epoch
        self.arbiter = arbiter
        self.isReady = isReady
        self.notReady = notReady
        self.blocked = blocked
        self.channel = channel
        self.log = log
        self.parts = parts
        self.lastBulkUpdate = lastBulkUpdate
        self.lastSwitchover = lastSwitchover
        self.alarms = alarms
    }
}

/// A step of a switchover, as it happens.
public struct StepView: Hashable, Sendable, Codable {
    /// The words of FIG. 11A–13: `announce`, `block`, `replicate`, `compare`, `relinquish`, `take-over`, …
    public var name: String
    /// Since the first step.
    public var elapsed: TimeSpan
    public var detail: String?
    public init(name: String, elapsed: TimeSpan, detail: String? = nil) {
        self.name = name
        self.elapsed = elapsed
        self.detail = detail
    }
}

/// A switchover that ended.
public struct SwitchoverView: Hashable, Sendable, Codable {
    public var started: Date
    /// `graceful` or `non-graceful`
    public var kind: String
    public var reason: String
    /// `a` or `b`
    public var from: String
    public var to: String
    /// The epoch after it.
    public var epoch: UInt64
    public var duration: TimeSpan
    /// `done`, or `aborted: ` and why.
    public var outcome: String
    public var steps: [StepView]

    public init(
        started: Date, kind: String, reason: String, from: String, to: String, epoch: UInt64, duration: TimeSpan,
        outcome: String, steps: [StepView]
    ) {
        self.started = started
        self.kind = kind
        self.reason = reason
        self.from = from
        self.to = to
        self.epoch = epoch
        self.duration = duration
        self.outcome = outcome
        self.steps = steps
    }
    public var isDone: Bool { outcome == "done" }
}

/// `show events`
public struct EventsView: Hashable, Sendable, Codable {
    public struct Entry: Hashable, Sendable, Codable {
        /// Grows by one with each event of this controller.
        public var number: UInt64
        public var time: Date
        /// `a` or `b`
        public var controller: String
        /// `debug`, `info`, `notice`, `warning`, `alarm`
        public var severity: String
        public var component: String
        public var message: String

        public init(
            number: UInt64, time: Date, controller: String, severity: String, component: String, message: String
        ) {
            self.number = number
            self.time = time
            self.controller = controller
            self.severity = severity
            self.component = component
            self.message = message
        }
    }
    /// Oldest first.
    public var events: [Entry]
    /// For `EventQuery.after`.
    public var last: UInt64
    /// Events that were dropped because nobody could take them in time.
    public var dropped: UInt64

    public init(events: [Entry], last: UInt64, dropped: UInt64 = 0) {
        self.events = events
        self.last = last
        self.dropped = dropped
    }
}
