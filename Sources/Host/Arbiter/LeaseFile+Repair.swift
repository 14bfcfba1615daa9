import CHost
import Glibc
import Machine
import Records
import Redundancy

/// A lease file that is removed or replaced while controllers run.
///
/// Both go on with the file that they have mapped, and agree; but a process that starts now would find another one and
/// nobody's lease in it. So each looks every 100 ms whether the path still names its file, and repairs it:
///
/// - Whoever holds mastership puts a *successor* in place: the same lineage, the same state, a generation later. The old
///   file and what it found at the path are first marked as superseded by a compare-and-exchange of their states, so that
///   nobody can be granted anything there any more, whenever it wakes up.
/// - The other one moves over to the successor. Only if the holder does not act for a while does it act itself.
/// - A file that was made anew grants nothing for at least a second (`quarantine`), which is longer than a holder may
///   speak without having looked. If somebody was granted mastership in it all the same (the holder was frozen for that
///   long), the holder has lost it.
///
/// One process at a time moves a state, by a lock that the kernel drops with the process.
extension LeaseFile {
    enum Verdict: Equatable {
        case putSuccessor
        case moveOver
        /// Somebody else is to act first.
        case wait
    }

    /// Looks whether the path still names our file, about every 100 ms, and repairs what is to be repaired.
    public func look(at now: Instant) {
        guard now >= nextLook else { return }
        lookNow(at: now)
    }

    func lookNow(at now: Instant) {
        nextLook = now + Self.lookInterval
        guard fault == nil else { return }
        let there = LeasePage.identity(at: path)
        if there == page.identity, !page.isSuperseded {
            strangeSince = nil
            return
        }
        let since = strangeSince ?? now
        strangeSince = since
        let found = there == nil ? nil : try? LeasePage(path: path, controller: controller, .look, at: now)
        switch verdict(found, since: since, at: now) {
        case .wait: break
        case .putSuccessor: putSuccessor(insteadOf: found, wasThere: there != nil, at: now)
        case .moveOver: moveOver(at: now)
        }
    }

    func verdict(_ found: LeasePage?, since: Instant, at now: Instant) -> Verdict {
        let own = LeaseWord(bits: page.knowledge)
        let isHolder = own.holder == controller && own.epoch == ownEpoch
        // Before a holder had its time to act, nobody acts in its stead.
        let isOurs = isHolder || own.holder == nil || now >= since + Self.holderPatience
        guard let found, !found.isSuperseded else { return isOurs ? .putSuccessor : .wait }
        if found.lineage == page.lineage, found.generation > page.generation { return .moveOver }
        let word = LeaseWord(bits: found.knowledge)
        if let holder = word.holder, holder != controller {
            let end = found.leaseEnd(of: holder)
            // A lease that runs for very long is a remainder of something else.
            if found.isAlive(holder) || (now < end && end < now + Self.leaseMaximum) { return .moveOver }
        }
        if isHolder { return .putSuccessor }
        return !isOurs ? .wait : own.epoch > word.epoch ? .putSuccessor : .moveOver
    }

    private func putSuccessor(insteadOf found: LeasePage?, wasThere: Bool, at now: Instant) {
        // Held by whoever is at it already, which we see at the next look.
        guard page.lockMoving() else { return }
        let beside = "\(path).next-\(controller == .a ? "a" : "b")"
        let successor: LeasePage
        do { successor = try page.successor(at: beside, for: controller, at: now) } catch {
            page.unlockMoving()
            // With another file at the path somebody could be granted what we hold; with none nobody can.
            isPathLost = found != nil
            return complain("lease file \(path) is gone and no other can be put in its place: \(error)", at: now)
        }
        var seen: UInt64?
        if let found, !found.isSuperseded {
            let bits = found[LeasePage.stateWord]
            guard LeaseWord(bits: bits).holder == nil || verdict(found, since: .zero, at: now) == .putSuccessor,
                found.supersede(bits)
            else {
                // Somebody was granted mastership there in this moment.
                unlink(beside)
                page.unlockMoving()
                nextLook = now
                return
            }
            seen = bits
        }
        var bits = page.knowledge
        let wasSuperseded = page.isSuperseded
        while !wasSuperseded, !page.supersede(bits) { bits = page.knowledge }
        page.copyLeases(to: successor)
        successor[LeasePage.stateWord] = bits
        successor.finish()
        guard rename(beside, path) == 0 else {
            let error = SystemError("rename")
            unlink(beside)
            if !wasSuperseded { page.restore() }
            if seen != nil { found?.restore() }
            page.unlockMoving()
            isPathLost = found != nil
            return complain("lease file \(path) is gone and no other can be put in its place: \(error)", at: now)
        }
        use(successor)
        events.append(
            Event(
                .alarm, "host",
                "lease file \(path) was \(wasThere ? "replaced" : "removed") under running "
                    + "controllers; controller \(controller) put a successor in its place: \(LeaseWord(bits: bits))"))
    }

    private func moveOver(at now: Instant) {
        guard page.lockMoving() else { return }
        let next: LeasePage
        do { next = try LeasePage(path: path, controller: controller, .existing, at: now) } catch {
            page.unlockMoving()
            if let failure = error as? Failure, failure.isDuplicate { fault = failure.description }
            return complain("the lease file that is in place now cannot be used: \(error)", at: now)
        }
        // Nobody is granted anything in the old file from here on.
        while !page.isSuperseded, !page.supersede(page[LeasePage.stateWord]) {}
        let isSuccessor = next.lineage == page.lineage
        // What another file says of our copy was said of somebody else.
        let ours = isSuccessor ? nil : controller
        use(next)
        if let ours { change { $0.begin(ours) } }
        events.append(
            isSuccessor
                ? Event(.notice, "host", "lease file \(path): controller \(controller) follows its successor: \(mastership)")
                : Event(
                    .alarm, "host",
                    "lease file \(path) was replaced under running controllers by another one, which "
                        + "counts from now on for controller \(controller), too: \(mastership)"))
    }

    private func use(_ next: LeasePage) {
        page = next
        strangeSince = nil
        isPathLost = false
        if hasGaspLock { releaseOnCrash() }
    }

    /// The same sentence once in ten seconds.
    private func complain(_ text: String, at now: Instant) {
        guard lastComplaint?.text != text || now >= lastComplaint!.at + .seconds(10) else { return }
        lastComplaint = (text, now)
        events.append(Event(.alarm, "host", text))
    }
}
