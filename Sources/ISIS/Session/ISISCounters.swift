/// Why a PDU was not taken. For display; not state.
public enum ISISDrop: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// The interface runs no IS-IS, is passive or down.
    case notConfigured = 0
    /// Header or TLVs do not fit together.
    case malformed
    case unsupportedType
    /// §8.2.4.2 (a): another ID length.
    case idLength
    /// §8.2.4.2 (b): another number of areas.
    case maximumAreas
    /// A LAN PDU on a point-to-point circuit or the other way round.
    case wrongCircuitType
    /// A level that does not run on the circuit.
    case wrongLevel
    /// Our own system ID from somebody else, or our own frame.
    case ownSystemID
    /// §8.2.4.2, §8.4.2.2: no area in common.
    case areaMismatch
    /// RFC 5303 §3.2: the handshake names somebody else.
    case threeWayMismatch
    case threeWayMissing
    case authentication
    /// Nobody we have an adjacency with sent it.
    case noAdjacency
    case tooManyAdjacencies
    /// An LSP whose checksum does not fit (corruptedLSPDetected).
    case checksum
    /// An LSP larger than any buffer here.
    case tooLarge
    /// No room in the database.
    case databaseFull
    /// A purge that carries what RFC 6233 forbids, or comes without authentication.
    case badPurge
    /// A PSNP to a router that is not designated.
    case notDesignated
    /// The packet, or its sender, was fatal to the other controller.
    case quarantined
    /// A sequence numbers PDU tells of more unknown LSPs than are asked for at a time.
    case tooManyRequested

    public var description: String {
        switch self {
        case .notConfigured: "not configured"
        case .malformed: "malformed"
        case .unsupportedType: "unsupported type"
        case .idLength: "ID length mismatch"
        case .maximumAreas: "maximum area addresses mismatch"
        case .wrongCircuitType: "wrong circuit type"
        case .wrongLevel: "wrong level"
        case .ownSystemID: "own system ID"
        case .areaMismatch: "area mismatch"
        case .threeWayMismatch: "three-way handshake mismatch"
        case .threeWayMissing: "three-way handshake missing"
        case .authentication: "authentication failed"
        case .noAdjacency: "no adjacency"
        case .tooManyAdjacencies: "too many adjacencies"
        case .checksum: "bad checksum"
        case .tooLarge: "too large"
        case .databaseFull: "database full"
        case .badPurge: "bad purge"
        case .notDesignated: "not designated"
        case .quarantined: "quarantined"
        case .tooManyRequested: "too many unknown LSPs"
        }
    }
}

/// What happened, for display; each controller counts for itself.
public struct ISISCounters: Sendable {
    public var received: UInt64 = 0
    public var sent: UInt64 = 0
    private var drops = [UInt64](repeating: 0, count: ISISDrop.allCases.count)
    public var lspsReceived: UInt64 = 0
    public var lspsSent: UInt64 = 0
    public var lspsRetransmitted: UInt64 = 0
    public var ownLSPsGenerated: UInt64 = 0
    public var ownLSPsRefreshed: UInt64 = 0
    public var purges: UInt64 = 0
    /// Own LSPs that others sent newer than ours are.
    public var ownLSPsContested: UInt64 = 0
    public var spfRuns: UInt64 = 0

    public init() {}
    public subscript(drop: ISISDrop) -> UInt64 { drops[Int(drop.rawValue)] }
    mutating func count(_ drop: ISISDrop) { drops[Int(drop.rawValue)] &+= 1 }
    public var dropsTotal: UInt64 { drops.reduce(0, &+) }
}
