import BGP
import Foundation

/// The management protocol: one JSON object per line over a Unix domain socket.
///
/// ```
/// → {"version":1,"id":1,"command":"show route","arguments":{"detail":true,…}}
/// ← {"version":1,"id":1,"final":true,"type":"routes","value":{…}}
/// ```
///
/// A caller may send several requests; answers carry their `id`. A request has any number of answers with `final` false
/// (steps of a switchover, followed events) and then one with `final` true, unless the caller hangs up.
public enum ManagementProtocol {
    /// A controller refuses other versions and says which it speaks.
    public static let version = 1
    /// Octets of one line, both ways: 32 MiB. A longer one ends the connection.
    public static let lineLengthMaximum = 32 << 20
    /// Octets of a configuration's text: 4 MiB.
    public static let configurationLengthMaximum = 4 << 20
    public static let socketPathDefault = "/run/lockstep/lockstep.sock"
}

public struct ManagementRequest: Hashable, Sendable {
    public var version: Int
    /// Chosen by the caller.
    public var id: UInt64
    /// Who asks, for the history. The socket's permissions decide who may; this is only a name.
    public var author: String
    public var command: ManagementCommand

    public init(id: UInt64, author: String, command: ManagementCommand, version: Int = ManagementProtocol.version) {
        self.version = version
        self.id = id
        self.author = author
        self.command = command
    }
}

public struct ManagementResponse: Hashable, Sendable {
    public var version: Int
    public var id: UInt64
    public var isFinal: Bool
    public var result: ManagementResult

    public init(id: UInt64, isFinal: Bool, result: ManagementResult, version: Int = ManagementProtocol.version) {
        self.version = version
        self.id = id
        self.isFinal = isFinal
        self.result = result
    }
}

public enum ManagementResult: Hashable, Sendable {
    case version(VersionView)
    case redundancy(RedundancyView)
    case bgpSummary(BGPSummaryView)
    case bgpNeighbors(BGPNeighborsView)
    case bfd(BFDView)
    case routes(RoutesView)
    case isis(ISISView)
    case rip(RIPView)
    case rpki(RPKIView)
    case policy(PolicyView)
    case tcp(TCPView)
    case interfaces(InterfacesView)
    case fib(FIBView)
    case ospf(OSPFView)
    case kernelFIB(KernelFIBView)
    case events(EventsView)
    case configuration(ConfigurationView)
    case configurationCheck(ConfigurationCheckView)
    case configurationApply(ConfigurationApplyView)
    case configurationHistory(ConfigurationHistoryView)
    case configurationDiff(ConfigurationDiffView)
    case switchover(SwitchoverView)
    /// One step of something that takes a while. Never final.
    case step(StepView)
    /// It was done; the text says what.
    case done(String)
    case failure(ManagementFailure)
}

/// Why a request was not carried out.
public struct ManagementFailure: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, Codable, CaseIterable {
        /// The line is no request of this version.
        case badRequest = "bad-request"
        /// It may not be done now or not here: `reason` says what would have to be different.
        case refused
        /// There is no such neighbour, revision, prefix.
        case notFound = "not-found"
        /// It was tried and went wrong.
        case failed
    }
    public var code: Code
    public var reason: String
    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }
    public var description: String { reason }
}

/// What answers requests: the host implements it by asking its threads for views.
public protocol ManagementHandler: Sendable {
    /// - Parameters:
    ///   - progress: takes answers that are not final. It waits while the caller does not read, and throws when the
    ///     caller is gone; then the handler stops following (a switchover that has begun goes on).
    /// - Returns: the final answer.
    func handle(
        _ command: ManagementCommand, author: String,
        progress: @Sendable (ManagementResult) async throws -> Void
    ) async -> ManagementResult
}
