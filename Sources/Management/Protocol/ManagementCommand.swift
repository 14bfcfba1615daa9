import Foundation

/// What an operator can ask of a controller.
///
/// On the wire it is `"command": NAME, "arguments": {…}`; the name is the words of the command line. What there is to say of
/// each is in `CommandDescription`.
public enum ManagementCommand: Hashable, Sendable {
    case showVersion
    case showRedundancy
    case showBGPSummary
    /// All, or the one with this address.
    case showBGPNeighbors(address: String?)
    case showBFD
    case showRoutes(RouteQuery)
    case showISIS(ISISQuery)
    case showRIP(RIPQuery)
    case showRPKI(RPKIQuery)
    case showTCP
    case showInterfaces
    /// The engine's forwarding table by groups.
    case showFIB
    /// OSPF of either version.
    case showOSPF(OSPFQuery)
    /// The kernel's forwarding table, the devices and the gate.
    case showKernelFIB
    case showEvents(EventQuery)
    case policyTest(PolicyTestQuery)
    case policyExplain(PolicyExplainQuery)
    /// The text of a revision, or of the configuration in force.
    case configurationShow(ConfigurationQuery)
    case configurationCheck(ConfigurationText)
    case configurationApply(ConfigurationApply)
    case configurationHistory(limit: Int)
    case configurationDiff(ConfigurationDiffQuery)
    case configurationRollback(ConfigurationRollback)
    case switchover(SwitchoverOrder)
    case clearBGP(ClearBGP)
    case clearAdjacencies(ClearAdjacencies)
    /// Takes this controller out of the pair; the twin goes on alone.
    case offline(reason: String)
    case online
    /// Failure injection, only with `testing` in the configuration.
    case testHangEngine
    case testTrapEngine
}

/// Which routes to show, a page at a time.
public struct RouteQuery: Hashable, Sendable, Codable {
    /// How `prefix` selects.
    public enum Match: String, Hashable, Sendable, Codable, CaseIterable {
        /// The route that a packet to the prefix would take.
        case longest
        /// This prefix only.
        case exact
        /// This prefix and everything within it.
        case within
    }
    /// `ipv4-unicast` or `ipv6-unicast`; `nil` shows both, or the family of `prefix`.
    public var family: String?
    /// A prefix or an address.
    public var prefix: String?
    public var match: Match
    /// Only routes from this neighbour, as it sent them and before policy.
    public var receivedFrom: String?
    /// Only routes as sent to this neighbour.
    public var advertisedTo: String?
    /// All paths with their attributes, not only the best one.
    public var detail: Bool
    /// Where the page begins: `RoutesView.next` of the page before.
    public var after: String?
    /// Most routes of a page, 1…10000.
    public var limit: Int

    public init(
        family: String? = nil, prefix: String? = nil, match: Match = .longest, receivedFrom: String? = nil,
        advertisedTo: String? = nil, detail: Bool = false, after: String? = nil, limit: Int = 1000
    ) {
        self.family = family
        self.prefix = prefix
        self.match = match
        self.receivedFrom = receivedFrom
        self.advertisedTo = advertisedTo
        self.detail = detail
        self.after = after
        self.limit = limit
    }
}

/// Which events to show.
public struct EventQuery: Hashable, Sendable, Codable {
    /// Only events with a greater number: `EventsView.last` of the answer before.
    public var after: UInt64?
    /// `debug`, `info`, `notice`, `warning` or `alarm` and worse.
    public var severity: String
    public var component: String?
    /// The newest so many, 1…10000.
    public var limit: Int
    /// Goes on with new ones until the caller hangs up.
    public var follow: Bool

    public init(
        after: UInt64? = nil, severity: String = "info", component: String? = nil, limit: Int = 100, follow: Bool = false
    ) {
        self.after = after
        self.severity = severity
        self.component = component
        self.limit = limit
        self.follow = follow
    }
}

public struct ConfigurationQuery: Hashable, Sendable, Codable {
    /// `nil`: the one in force.
    public var revision: UInt64?
    /// Every value that counts, written the same way always, instead of the operator's own text.
    public var canonical: Bool
    /// With passwords and keys, which are hidden otherwise. `nil`: no.
    public var secrets: Bool?

    public init(revision: UInt64? = nil, canonical: Bool = false, secrets: Bool? = nil) {
        self.revision = revision
        self.canonical = canonical
        self.secrets = secrets
    }
}

/// A configuration as its author wrote it.
public struct ConfigurationText: Hashable, Sendable, Codable {
    /// For messages only; the controller does not read this file.
    public var file: String
    public var text: String
    public init(file: String, text: String) {
        self.file = file
        self.text = text
    }
}

public struct ConfigurationApply: Hashable, Sendable, Codable {
    public var configuration: ConfigurationText
    public var comment: String
    /// Check and compare, but change nothing.
    public var dryRun: Bool
    /// The revision that its author began with: if another is in force meanwhile, nothing is changed and the answer tells
    /// what others did. `nil` changes whatever is in force.
    public var base: UInt64?
    /// Also a configuration without interfaces, in the place of one that has some. `nil`: no.
    public var force: Bool?

    public init(
        configuration: ConfigurationText, comment: String = "", dryRun: Bool = false, base: UInt64? = nil, force: Bool? = nil
    ) {
        self.configuration = configuration
        self.comment = comment
        self.dryRun = dryRun
        self.base = base
        self.force = force
    }
}

public struct ConfigurationDiffQuery: Hashable, Sendable, Codable {
    /// `nil`: the revision before `to`.
    public var from: UInt64?
    /// `nil`: the one in force.
    public var to: UInt64?
    /// With passwords and keys, which are hidden otherwise. `nil`: no.
    public var secrets: Bool?
    public init(from: UInt64? = nil, to: UInt64? = nil, secrets: Bool? = nil) {
        self.from = from
        self.to = to
        self.secrets = secrets
    }
}

public struct ConfigurationRollback: Hashable, Sendable, Codable {
    public var revision: UInt64
    public var comment: String
    /// As for `ConfigurationApply`.
    public var base: UInt64?
    public init(revision: UInt64, comment: String = "", base: UInt64? = nil) {
        self.revision = revision
        self.comment = comment
        self.base = base
    }
}

public struct SwitchoverOrder: Hashable, Sendable, Codable {
    public var reason: String
    /// Even if the standby is not ready: sessions that it cannot resume start anew.
    public var force: Bool
    public init(reason: String = "", force: Bool = false) {
        self.reason = reason
        self.force = force
    }
}

public struct ClearBGP: Hashable, Sendable, Codable {
    public enum Mode: String, Hashable, Sendable, Codable, CaseIterable {
        /// Ends the session with Cease (administrative reset).
        case hard
        /// Asks for the routes again (RFC 2918).
        case softIn = "soft-in"
        /// Runs the routes through the export policy again and sends what changes.
        case softOut = "soft-out"
        case soft
    }
    /// A neighbour, or `*` for all.
    public var address: String
    public var mode: Mode
    /// RFC 9003: text for the neighbour, with `hard`.
    public var message: String

    public init(address: String, mode: Mode = .hard, message: String = "") {
        self.address = address
        self.mode = mode
        self.message = message
    }
}
