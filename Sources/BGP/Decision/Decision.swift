import Wire

// The decision process, RFC 4271 §9.1.2 with RFC 4456 §9.
//
// Phase 1 (degree of preference, §9.1.1) is done when attributes are interned: LOCAL_PREF as received from an internal
// neighbour or as policy set it, the configured default otherwise. What comes before it, the weight that policy gives a path in
// this router alone, is of no RFC.
//
// Phase 2 (§9.1.2) looks at one prefix whenever one of its paths changes. The steps, in the order of
// `DecisionStep`:
//
//   0  the path is eligible: accepted by policy, session up or restarting, next hop resolvable,
//      no loop                                                                                   §9.1.2, §9.1.2.1
//  0a  not stale for long                                                                        RFC 9494 §4.4
//  0b  highest weight                                                                            (no RFC)
//   1  highest degree of preference (LOCAL_PREF)                                                 §9.1.2
//   2  shortest AS_PATH                                                                          §9.1.2.2 (a)
//   3  lowest ORIGIN                                                                             §9.1.2.2 (b)
//   4  lowest MULTI_EXIT_DISC among paths from one neighbouring AS                               §9.1.2.2 (c)
//   5  from ourselves over external over internal                                                §9.1.2.2 (d)
//   6  lowest interior cost to the next hop                                                      §9.1.2.2 (e)
//   7  lowest BGP Identifier, ORIGINATOR_ID in its place                                         §9.1.2.2 (f), RFC 4456 §9
//   8  shortest CLUSTER_LIST                                                                     RFC 4456 §9
//   9  lowest neighbour address                                                                  §9.1.2.2 (g)
//  10  the lower number of the source; never needed as long as neighbours' addresses differ
//  11  the lower path identifier, among paths of one source                                     (RFC 7911 says nothing)
//
// Of a confederation (RFC 5065 §5.3) its segments do not count in step 2, the neighbouring AS of step 4 is the first one
// outside of it, and another member is internal in step 5. `BestPathConfiguration` leaves out step 2 and compares more in
// step 4.
//
// Steps 0a to 3 are one comparison of `AttributeSet.rank`. Step 4 is no order (a path can lose to one that in turn loses
// to a third), so it filters the whole group, and every change runs the prefix again: the result never depends on
// the order of arrival. Steps 5 to 11 are a total order on what is left.

/// Which step of the decision process told the best path from another one.
public enum DecisionStep: UInt8, Hashable, Sendable, Codable, CaseIterable, BitwiseCopyable {
    case eligible = 0
    case longLivedStale = 1
    case weight = 2
    case localPreference = 3
    case pathLength = 4
    case origin = 5
    case med = 6
    case source = 7
    case interiorCost = 8
    case identifier = 9
    case clusterLength = 10
    case neighborAddress = 11
    case number = 12
    case pathIdentifier = 13

    /// What an operator reads.
    public var explanation: String {
        switch self {
        case .eligible: "only eligible path"
        case .weight: "higher weight"
        case .localPreference: "higher local preference"
        case .pathLength: "shorter AS path"
        case .origin: "lower origin"
        case .med: "lower MED from the same neighbouring AS"
        case .source: "local over external over internal"
        case .interiorCost: "lower cost to the next hop"
        case .identifier: "lower BGP identifier"
        case .clusterLength: "shorter cluster list"
        case .neighborAddress: "lower neighbour address"
        case .number: "lower session number"
        case .pathIdentifier: "lower path identifier"
        case .longLivedStale: "not stale for long (RFC 9494)"
        }
    }
}

/// Why a path cannot be chosen at all.
public enum Ineligibility: UInt8, Hashable, Sendable, Codable, CaseIterable {
    case rejectedByPolicy = 0
    case sessionDown = 1
    /// RFC 4271 §9.1.2.1
    case nextHopUnreachable = 2
    /// RFC 4271 §9.1.2: the path would come back to us.
    case asLoop = 3
    /// RFC 4456 §8
    case reflectionLoop = 4
    /// RFC 9234 §5: marked as going to customers only, and it did not.
    case routeLeak = 5
}

/// The comparisons, apart from any table.
enum Decision {
    /// Step 0; `nil` when eligible.
    @inline(__always)
    static func ineligibility(_ accepted: UInt32, _ source: Source, _ attributes: borrowing AttributeTable) -> Ineligibility? {
        if accepted == 0 { return .rejectedByPolicy }
        if !source.isLive { return .sessionDown }
        let set = attributes[accepted]
        if set.marks.contains(.isLeak) { return .routeLeak }
        if set.marks.contains(.isLoop) { return .asLoop }
        if set.ownASCount > source.allowASIn, !(source.allowsOwnOrigin && set.flags.contains(.beganInOwnAS)) { return .asLoop }
        if set.flags.contains(.isReflectedBack) { return .reflectionLoop }
        // A network of our own is there because it is configured, not because its next hop answers.
        if source.kind != .local, attributes.nextHops.metric(set.nextHop) == NextHopTable.unreachable {
            return .nextHopUnreachable
        }
        return nil
    }

    /// Steps 5 to 11.
    static func compareLate(
        _ a: AttributeSet, _ sa: Source, _ na: UInt16, _ ia: UInt32, _ b: AttributeSet, _ sb: Source, _ nb: UInt16,
        _ ib: UInt32, _ attributes: borrowing AttributeTable
    ) -> (aIsBetter: Bool, step: DecisionStep) {
        // Step 5, RFC 4271 §9.1.2.2 (d)
        if sa.kind != sb.kind { return (sa.kind.rawValue < sb.kind.rawValue, .source) }
        // Step 6, (e)
        let ma = attributes.nextHops.metric(a.nextHop), mb = attributes.nextHops.metric(b.nextHop)
        if ma != mb { return (ma < mb, .interiorCost) }
        // Step 7, (f)
        let ra = a.originatorID != 0 ? a.originatorID : sa.identifier
        let rb = b.originatorID != 0 ? b.originatorID : sb.identifier
        if ra != rb { return (ra < rb, .identifier) }
        // Step 8, RFC 4456 §9
        if a.clusterCount != b.clusterCount { return (a.clusterCount < b.clusterCount, .clusterLength) }
        // Step 9, (g). IPv4 before IPv6 where a prefix comes over both.
        if sa.isIPv6 != sb.isIPv6 { return (sa.isIPv6 == 0, .neighborAddress) }
        if sa.addressHigh != sb.addressHigh { return (sa.addressHigh < sb.addressHigh, .neighborAddress) }
        if sa.addressLow != sb.addressLow { return (sa.addressLow < sb.addressLow, .neighborAddress) }
        // Step 10
        if na != nb { return (na < nb, .number) }
        // Step 11
        return (ia < ib, .pathIdentifier)
    }

    /// Which of steps 0a to 3 tells two different ranks apart (see `AttributeSet.rank`).
    static func stepOfRank(_ a: UInt64, _ b: UInt64) -> DecisionStep {
        if a >> 63 != b >> 63 { return .longLivedStale }
        if a >> 47 != b >> 47 { return .weight }
        if a >> 15 != b >> 15 { return .localPreference }
        if a >> 2 != b >> 2 { return .pathLength }
        return .origin
    }
}
