import Machine
import Records

// With a vote: what it is asked, and what its answers come to. Docs/mastership.md, "A third vote".

extension PairArbiter {
    /// An answer together with the request that it belongs to.
    public struct Settled: Sendable, Hashable {
        public var request: ArbiterRequest
        public var answer: ArbiterAnswer
    }

    /// What the vote is to be asked, in this order.
    public mutating func takeVoteRequests() -> [ArbiterRequest] { vote?.takeOutgoing() ?? [] }

    /// Mastership is asked for, and not decided: whoever holds it must not take our beats for consent.
    public var isClaiming: Bool { vote?.isClaiming ?? false }

    /// The vote's answer to the oldest request that it was given.
    /// - Returns: what the controller's own request came to, if it is decided by this.
    public mutating func voteAnswered(_ answer: ArbiterAnswer, watch: TwinWatch, at now: Instant) -> Settled? {
        guard let asked = vote?.takeAsked() else { return nil }
        if answer.isReal { vote!.heardAt = now }
        let result: ArbiterAnswer?
        switch asked.request {
        case .acquire(_, let isResuming):
            result = claimAnswered(answer, isResuming: isResuming, isBackground: asked.isBackground, watch, at: now)
        case .renew(let of): result = renewalAnswered(answer, of)
        case .release(let of):
            guard case .released(let released) = answer, released == of, of == epoch else {
                result = lostOr(answer)
                break
            }
            if !asked.isBackground { holding = .releasing }
            result = answer
        case .setTwinEligible(let of, let isEligible):
            // Of a mastership that we do not have any more: what has become of it says nothing of the copy that we hold now.
            result = of == epoch && holding != .none ? eligibilityAnswered(answer, of, isEligible, watch) : nil
        }
        guard !asked.isBackground, let result else { return nil }
        return Settled(request: asked.request, answer: result)
    }

    private mutating func lostOr(_ answer: ArbiterAnswer) -> ArbiterAnswer {
        guard case .lost = answer else { return answer }
        switch holding {
        // It was we who gave it up a moment ago, and we may have it back; or we have given it up for good since, and follow.
        case .none, .releasing, .reclaiming: return answer
        case .bound, .renouncing, .alone: return lose()
        }
    }

    // MARK: becoming the router

    /// What the two could not settle goes to the vote.
    mutating func claim(atLeast least: Epoch, isResuming: Bool, at now: Instant) -> ArbiterAnswer? {
        guard vote != nil else { return nil }
        if now < vote!.retryAt { return .denied(holder: nil, greatest, retryAt: vote!.retryAt) }
        vote!.claim = .pending(isResuming: isResuming)
        vote!.ask(.acquire(atLeast: max(least, greatest), isResuming: isResuming))
        return nil
    }

    private mutating func claimAnswered(
        _ answer: ArbiterAnswer, isResuming: Bool, isBackground: Bool, _ watch: TwinWatch, at now: Instant
    ) -> ArbiterAnswer? {
        let wasClaiming = isClaiming
        vote!.claim = .none
        switch answer {
        case .granted(let granted, let until, let mayResume):
            if !wasClaiming {
                // The holder has raised its epoch.
                guard holds(epoch) else {
                    vote!.ask(.release(granted), isBackground: true)
                    return lose()
                }
                epoch = granted
                greatest = max(greatest, granted)
                inForce = max(inForce, granted)
                vote!.leaseUntil = until
                return .granted(granted, leaseUntil: lease(watch, at: now), mayResume: true)
            }
            let resumes = mayResume && isResumable && isTrusted(watch)
            if isBackground || isResuming && !resumes {
                // Nobody wants it any more, or our copy has become stale meanwhile: the twin may have it.
                vote!.ask(.release(granted), isBackground: true)
                greatest = max(greatest, granted)
                copy = .stale
                holding = .none
                return .notCurrent(greatest)
            }
            vote!.leaseUntil = until
            vote!.renewAt = now + vote!.renewInterval
            vote!.mustCorrect = false
            become(epoch: granted, isReleased: isReleasedToUs && resumes, watch, at: now)
            return .granted(granted, leaseUntil: lease(watch, at: now), mayResume: resumes)
        case .denied(let holder, let inForce, let retryAt):
            greatest = max(greatest, inForce)
            // The twin may let go of it at any time: it is asked for again before it runs out.
            vote!.retryAt = min(retryAt, now + .milliseconds(250))
            return .denied(holder: holder, greatest, retryAt: vote!.retryAt)
        case .notCurrent(let inForce):
            greatest = max(greatest, inForce)
            copy = .stale
            holding = .none
            return .notCurrent(greatest)
        case .unavailable:
            if wasClaiming { vote!.claim = .doubtful(since: now) }
            return answer
        default: return answer
        }
    }

    // MARK: staying it

    /// Who has no carrier may be the one who is cut off: the vote is not asked to let it go on alone, for a twin that is fit
    /// asks a moment later. It waits for a carrier, or for the twin's word that it resumes nothing.
    mutating func renounceByVote(_ asked: Epoch, _ watch: TwinWatch, at now: Instant) -> ArbiterAnswer? {
        guard hasCarrier || !watch.isSilent(for: watch.detectionTime, at: now) else {
            if !vote!.isAsked(where: { $0 == .setTwinEligible(asked, false) }) { vote!.withheld = .setTwinEligible(asked, false) }
            return nil
        }
        vote!.withheld = nil
        vote!.ask(.setTwinEligible(asked, false))
        return nil
    }

    private mutating func renewalAnswered(_ answer: ArbiterAnswer, _ of: Epoch) -> ArbiterAnswer? {
        guard of == epoch, of != .zero else { return nil }
        switch answer {
        case .renewed(_, let until): vote!.leaseUntil = max(vote!.leaseUntil, until)
        // The next renewal of our own says so. But a vote that was reached anew may have carried out our release before it
        // read this again: the release's own answer tells.
        case .lost: if !vote!.isAsked(where: { $0 == .release(of) }) { mustYield = true }
        default: break
        }
        return nil
    }

    private mutating func eligibilityAnswered(
        _ answer: ArbiterAnswer, _ of: Epoch, _ isEligible: Bool, _ watch: TwinWatch
    ) -> ArbiterAnswer? {
        switch answer {
        case .twinEligibility:
            guard of == epoch else { return answer }
            vote!.mustCorrect = false
            if !isEligible, case .renouncing = holding, holds(epoch) { holding = .alone }
            return answer
        case .unavailable, .unasked:
            // The twin itself has said that it resumes nothing: that is enough, and the vote learns it later.
            guard !isEligible, case .renouncing(let from, _) = holding, holds(epoch), hasUnderstood(from, watch) else {
                return answer
            }
            holding = .alone
            vote!.mustCorrect = true
            return .twinEligibility(of, false)
        default:
            // As with a renewal: a release of ours that was carried out before this was read says no more than that.
            if vote!.isAsked(where: { $0 == .release(of) }) { return nil }
            return lostOr(answer)
        }
    }

    /// Keeps the vote's lease, and sets right what it does not know.
    mutating func tendVote(_ watch: TwinWatch, at now: Instant) {
        guard vote != nil else { return }
        if case .doubtful(let since) = vote!.claim, now >= since + PairVote.doubtInterval,
            !vote!.isAsked(where: { if case .acquire = $0 { true } else { false } })
        {
            vote!.claim = .doubtful(since: now)
            vote!.ask(.acquire(atLeast: greatest, isResuming: true), isBackground: true)
        }
        if case .setTwinEligible(let asked, _)? = vote!.withheld {
            if case .renouncing = holding, holds(asked) {
                _ = renounceByVote(asked, watch, at: now)
            } else {
                vote!.withheld = nil
            }
        }
        isVoteSilent = !vote!.isReachable(at: now)
        guard vote!.renewAt <= now else { return }
        vote!.renewAt = now + vote!.renewInterval
        guard !vote!.isAsked(where: { if case .renew = $0 { true } else { false } }) else { return }
        // Whoever is not the router asks as well, for an epoch that nobody has: only whether the vote is there.
        guard holds(epoch), epoch != .zero else { return vote!.ask(.renew(.zero), isBackground: true) }
        guard !vote!.isAsked(where: { if case .release = $0 { true } else { false } }) else { return }
        // Who has no carrier and no answer may be the one who is cut off: the other may have it.
        guard hasCarrier || !watch.isSilent(for: watch.detectionTime, at: now) else { return }
        if vote!.mustCorrect, !vote!.isAsked(where: { if case .setTwinEligible = $0 { true } else { false } }) {
            vote!.ask(.setTwinEligible(epoch, false), isBackground: true)
        }
        vote!.ask(.renew(epoch), isBackground: true)
    }

    /// Alone: until the vote's lease ends, or as long as the twin, which has nothing to resume, reads our beats.
    func leaseWithVote(_ watch: TwinWatch) -> Instant {
        let consent: Instant
        if let newest = watch.newest, !newest.isHolder, !newest.holdsCopy, watch.isAnsweredSinceWake, let at = watch.answeredAt {
            consent = at + watch.detectionTime
        } else {
            consent = .zero
        }
        return max(vote?.leaseUntil ?? .zero, consent)
    }
}
