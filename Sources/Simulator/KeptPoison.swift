import Machine
import Records

/// A routed station whose protocol says again and again what is fatal to an engine.
extension Simulation {
    /// One routed station announces what is fatal, keeps it, perhaps changes its form, and takes it back in the end. No more
    /// than two controllers die of it, one after the other with a copy left, and nobody else loses anything.
    func keepPoison(station: Int) {
        for port in 0..<portCount { perform(.healPort(port)) }
        guard
            waitUntil(.seconds(60), { self.isRedundant && self.allAdjacent && SessionChecker.areViewsRight(self) })
        else { return }
        // For each fault one, and one for the operator.
        for _ in 0..<3 { routedStations[station].expectLoss() }
        var watch = DeathWatch()

        perform(.keepPoison(station: station, form: 1))
        live(.seconds(20), &watch) { $0.faults > 0 }
        if watch.faults == 0, findings.isEmpty { find("what station \(station) announces was not fatal") }
        comeBack(station, &watch)
        if random.chance(1, in: 2) {
            let faults = watch.faults
            perform(.keepPoison(station: station, form: 2))
            // Known by its name alone if two forms were fatal before this one.
            live(.seconds(20), &watch) { faults > 1 || $0.faults > faults }
            if faults == 1, watch.faults == 1, findings.isEmpty { find("another form of what was fatal did not come") }
            comeBack(station, &watch)
        }
        live(.seconds(6), &watch) { _ in false }

        // A withdrawal is a form, too, and RIP repeats it for a while.
        perform(.keepPoison(station: station, form: 0))
        live(.seconds(14), &watch) { _ in false }
        comeBack(station, &watch)
        perform(.command(routedStations[station].clearing))
        live(.seconds(30), &watch) { _ in !self.routedStations[station].isAdjacent }
        comeBack(station, &watch)
        routedStations[station].expectNoMoreLosses()
    }

    /// What died of the poison.
    struct DeathWatch {
        var faults = 0
        var isDead = [false, false]
        var restartAt: Instant?
    }

    /// Lets time pass, starts again what died after a while in which one is alone, and counts.
    private func live(_ limit: Duration, _ watch: inout DeathWatch, until isSo: (DeathWatch) -> Bool) {
        let end = now + limit
        while findings.isEmpty, now < end {
            for id in ControllerID.allCases {
                let isDead = node(id).life == .dead
                if isDead, !watch.isDead[Int(id.rawValue)] {
                    watch.faults += 1
                    watch.restartAt = now + .milliseconds(random.number(in: 10...5000))
                }
                watch.isDead[Int(id.rawValue)] = isDead
            }
            if watch.isDead == [true, true] { return find("both controllers are dead of the same") }
            if watch.faults > 2 { return find("what was fatal in two forms was fatal once more") }
            if let time = watch.restartAt, time <= now {
                watch.restartAt = nil
                for id in ControllerID.allCases { perform(.start(id)) }
                watch.isDead = [false, false]
            }
            if isSo(watch) { return }
            run(until: min(end, now + .milliseconds(10)))
        }
    }

    private func comeBack(_ station: Int, _ watch: inout DeathWatch) {
        live(.seconds(90), &watch) { _ in self.isRedundant && self.allAdjacent && self.routedStations[station].isSettled }
        if findings.isEmpty, !(isRedundant && allAdjacent && routedStations[station].isSettled) {
            find("after what was fatal station \(station) did not come back, or the pair is not redundant")
        }
    }
}
