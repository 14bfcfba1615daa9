import Machine
import Records
import Wire

/// What BFD counted on this controller. Not replicated.
public struct BFDCounters: Sendable, Equatable {
    public var packetsIn: UInt64 = 0
    public var packetsOut: UInt64 = 0
    /// Indexed by `BFDDropReason`.
    private var dropped = [UInt64](repeating: 0, count: BFDDropReason.allCases.count)

    public init() {}

    public subscript(reason: BFDDropReason) -> UInt64 {
        get { dropped[reason.rawValue] }
        set { dropped[reason.rawValue] = newValue }
    }
    public var drops: UInt64 { dropped.reduce(0, &+) }
}

/// A session as the line card that speaks has it.
public struct BFDSessionActivity: Sendable, Equatable {
    public var session: BFDSession
    public var counters: BFDSessionCounters
    /// What is sent at and expected at, in microseconds; 0 while nothing is.
    public var transmitInterval: Int64
    public var detectionTime: Int64
    public var isPolling: Bool
}

/// One session of `show bfd`.
public struct BFDSessionView: Hashable, Sendable, Codable {
    public var remote: IPAddress
    public var local: IPAddress
    /// Absent for a session over several hops.
    public var interface: String?
    @AsText public var state: BFDState
    @AsText public var remoteState: BFDState
    /// Why it left Up the last time, in our words and in the neighbour's.
    public var diagnostic: String
    public var remoteDiagnostic: String
    /// Who asked for it: `BGP`, `static`, `OSPF`, …
    public var clients: [String]
    public var localDiscriminator: UInt32
    /// 0 while unknown.
    public var remoteDiscriminator: UInt32
    /// What we announce, as configured; microseconds.
    public var desiredTransmit: UInt32
    public var requiredReceive: UInt32
    public var multiplier: UInt8
    /// What the neighbour announces; microseconds.
    public var remoteDesiredTransmit: UInt32
    public var remoteRequiredReceive: UInt32
    public var remoteMultiplier: UInt8
    /// What is in use, in microseconds: between our packets, and until silence is a failure. 0: none.
    public var transmitInterval: UInt64
    public var detectionTime: UInt64
    public var authentication: String?
    /// The neighbour does not know our newest intervals yet.
    public var isPolling: Bool
    /// Only where the sessions run, on the active, and since it became that.
    public var counters: BFDSessionCounters?

    /// - Parameters:
    ///   - known: as both controllers know it.
    ///   - activity: as the line card has it, where it runs.
    public init(_ known: BFDSession, _ activity: BFDSessionActivity?, interface: String?, clients: [String]) {
        let session = activity?.session ?? known
        let status = session.status
        remote = session.peer.remote
        local = session.peer.local
        self.interface = interface
        state = status.state
        remoteState = status.remoteState
        diagnostic = status.diagnostic.description
        remoteDiagnostic = status.remoteDiagnostic.description
        self.clients = clients
        localDiscriminator = session.discriminator
        remoteDiscriminator = status.remoteDiscriminator
        desiredTransmit = session.parameters.desiredMinTx
        requiredReceive = session.parameters.requiredMinRx
        multiplier = session.parameters.multiplier
        remoteDesiredTransmit = status.remoteDesiredMinTx
        remoteRequiredReceive = status.remoteMinRx
        remoteMultiplier = status.remoteMultiplier
        transmitInterval =
            activity.map { UInt64(clamping: $0.transmitInterval) } ?? UInt64(max(status.transmitInUse, status.remoteMinRx))
        detectionTime =
            activity.map { UInt64(clamping: $0.detectionTime) }
            ?? UInt64(status.remoteMultiplier) * UInt64(max(status.receiveInUse, status.remoteDesiredMinTx))
        authentication = session.parameters.authentication?.type.description
        isPolling = !status.isPolled
        counters = activity?.counters
    }
}

extension BFDInstance {
    /// In ascending order of the peers.
    public var activities: [BFDSessionActivity] {
        var list: [BFDSessionActivity] = []
        for entry in sessions.places {
            guard let entry, entry.endsAt == nil else { continue }
            list.append(
                BFDSessionActivity(
                    session: BFDSession(
                        peer: entry.peer, discriminator: entry.discriminator, sourcePort: entry.sourcePort,
                        parameters: entry.parameters, status: entry.status),
                    counters: entry.counters,
                    transmitInterval: entry.transmitsPeriodically ? entry.transmitInterval / 1000 : 0,
                    detectionTime: entry.status.remoteDiscriminator == 0 ? 0 : entry.detectionTime / 1000,
                    isPolling: entry.isPolling))
        }
        list.sort { $0.session.peer < $1.session.peer }
        return list
    }
}
