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

/// A session as the line card that speaks has it, for management.
public struct BFDSessionView: Sendable, Equatable {
    public var session: BFDSession
    public var counters: BFDSessionCounters
    /// What is sent at and expected at, in microseconds; 0 while nothing is.
    public var transmitInterval: Int64
    public var detectionTime: Int64
    public var isPolling: Bool
}

extension BFDInstance {
    /// In ascending order of the peers.
    public var views: [BFDSessionView] {
        var list: [BFDSessionView] = []
        for entry in sessions {
            guard let entry, entry.endsAt == nil else { continue }
            list.append(
                BFDSessionView(
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
