/// RFC 2328 §9.4: the choice of Designated Router and Backup, as a function of what the routers on the link declare.
///
/// Routers are named as Hellos name them: by interface address in OSPFv2, by Router ID in OSPFv3 (RFC 5340 §4.2.1.1).
enum DesignatedRouterElection {
    struct Candidate: Hashable, Sendable {
        /// What the DR fields of Hellos would hold.
        var identity: UInt32
        var routerID: UInt32
        var priority: UInt8
        /// What its Hellos say; 0 for none.
        var declaredDR: UInt32
        var declaredBDR: UInt32
    }

    struct Result: Hashable, Sendable {
        /// 0 for none.
        var dr: UInt32
        var bdr: UInt32
    }

    /// - Parameters:
    ///   - own: this router, declaring what it calculated the last time.
    ///   - others: neighbours in 2-Way or better.
    static func elect(own: Candidate, others: [Candidate]) -> Result {
        // (1) Routers that are not eligible are not looked at.
        var result = pass(own: own, others: others)
        // (4): whoever becomes or ceases to be DR or Backup runs steps (2) and (3) again, declaring the new state, so
        // that no router makes itself both.
        let isDR = result.dr == own.identity, wasDR = own.declaredDR == own.identity
        let isBDR = result.bdr == own.identity, wasBDR = own.declaredBDR == own.identity
        if isDR != wasDR || isBDR != wasBDR {
            var again = own
            again.declaredDR = isDR ? own.identity : result.dr
            again.declaredBDR = isBDR ? own.identity : result.bdr
            if isDR, again.declaredBDR == own.identity { again.declaredBDR = 0 }
            result = pass(own: again, others: others)
        }
        return result
    }

    private static func pass(own: Candidate, others: [Candidate]) -> Result {
        let eligible = ([own] + others).filter { $0.priority > 0 }
        // (2): among those that do not declare themselves DR, whoever declares itself Backup comes before the rest.
        let notDR = eligible.filter { $0.declaredDR != $0.identity }
        let backup = best(notDR.filter { $0.declaredBDR == $0.identity }) ?? best(notDR)
        // (3): without a router that declares itself DR, the Backup just chosen is promoted.
        let designated = best(eligible.filter { $0.declaredDR == $0.identity }) ?? backup
        return Result(dr: designated?.identity ?? 0, bdr: backup?.identity ?? 0)
    }

    /// The highest priority, then the highest Router ID.
    private static func best(_ candidates: [Candidate]) -> Candidate? {
        var best: Candidate?
        for candidate in candidates {
            guard let current = best else {
                best = candidate
                continue
            }
            if (candidate.priority, candidate.routerID) > (current.priority, current.routerID) { best = candidate }
        }
        return best
    }
}
