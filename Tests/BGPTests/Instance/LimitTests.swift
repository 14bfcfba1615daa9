import BGP
import Machine
import Records
import Testing
import Wire

/// How much a neighbour may have here.
@Suite struct LimitTests {
    /// UPDATE of IPv4 prefixes 10.n.0.0/16.
    private static func update(_ numbers: Range<UInt8>) -> [UInt8] {
        let nlri = numbers.flatMap { [16, 10, $0] as [UInt8] }
        return Build.message(2, Build.update(attributes: Build.origin + Build.path4(65001) + Build.nextHop, nlri: nlri))
    }

    private static func reconfigure(_ driver: inout Driver, _ change: (inout NeighborConfiguration) -> Void) {
        var configuration = driver.instance.configuration!
        change(&configuration.neighbors[0])
        driver.give(.configure(configuration))
    }

    @Test("without a word an external session has a limit far above the Internet's table, and an internal one none")
    func defaults() {
        let ipv4 = FamilyConfiguration(.ipv4Unicast), ipv6 = FamilyConfiguration(.ipv6Unicast)
        #expect(ipv4.limit(isInternal: false) == 2_000_000)
        #expect(ipv6.limit(isInternal: false) == 600_000)
        #expect(ipv4.limit(isInternal: true) == nil)
        var none = ipv4
        none.maximumPrefixes = FamilyConfiguration.unlimited
        #expect(none.limit(isInternal: false) == nil)
        var own = ipv4
        own.maximumPrefixes = 5
        #expect(own.limit(isInternal: true) == 5)
        var driver = Driver()
        driver.establish()
        #expect(driver.detail.summary.families.map(\.maximumPrefixes) == [2_000_000, 600_000])
        var internalDriver = Driver(isInternal: true)
        internalDriver.establish()
        #expect(internalDriver.detail.summary.families.map(\.maximumPrefixes) == [0, 0])
    }

    @Test("paths that policy rejects count, of all families together, and more end the session with Cease/1 without data")
    func paths() {
        var driver = Driver {
            $0.ebgpRequiresPolicy = true
            $0.neighbors[0].maximumPaths = 10
        }
        driver.establish()
        driver.receive(Self.update(0..<7))
        #expect(!driver.messages.contains { $0.contains("of at most") })
        driver.receive(Self.update(7..<8))
        #expect(driver.messages.contains { $0.contains("8 of at most 10 paths") })
        driver.receive(Self.update(8..<10))
        #expect(driver.state == .established)
        driver.receive(Self.update(10..<11))
        #expect(driver.notification == .cease(.maximumPrefixes))
        #expect(driver.instance.neighborSummaries[0].isHeldDown)
        driver.wait(.seconds(7200))
        #expect(driver.instance.neighborSummaries[0].isHeldDown, "no restart time: an operator decides")
    }

    @Test("a limit that is lowered below what is there ends the session at once, and the plan says so before")
    func lowered() {
        var driver = Driver()
        driver.establish()
        driver.receive(Self.update(0..<9))
        var wanted = driver.instance.configuration!
        wanted.neighbors[0].families[0].maximumPrefixes = 8
        wanted.neighbors[0].families[0].restartMinutes = 30
        let excesses = driver.instance.excesses(under: wanted)
        #expect(excesses.map(\.count) == [9])
        #expect(excesses.first?.maximum == 8)
        #expect(excesses.first?.restartMinutes == 30)
        driver.effects = []
        driver.give(.configure(wanted))
        #expect(driver.notification == .maximumPrefixes(.ipv4Unicast, 8))
        #expect(driver.state == .idle)
        #expect(driver.instance.excesses(under: wanted).isEmpty, "it is down already")
        // A larger one is a new chance now, not in half an hour.
        Self.reconfigure(&driver) { $0.families[0].maximumPrefixes = 9 }
        driver.give(.closed(driver.connection, .finished))
        driver.wait(.seconds(2))
        driver.establish(6)
        driver.receive(Self.update(0..<9))
        #expect(driver.state == .established)
    }

    @Test("the same for paths; only to warn, and not to be beyond it, ends nothing")
    func harmless() {
        var driver = Driver()
        driver.establish()
        driver.receive(Self.update(0..<9))
        var wanted = driver.instance.configuration!
        wanted.neighbors[0].families[0].maximumPrefixes = 8
        wanted.neighbors[0].families[0].warningOnly = true
        wanted.neighbors[0].maximumPaths = 9
        #expect(driver.instance.excesses(under: wanted).isEmpty)
        driver.effects = []
        driver.give(.configure(wanted))
        #expect(driver.state == .established)
        #expect(driver.messages.contains { $0.contains("9 of at most 8 prefixes") })
        wanted.neighbors[0].maximumPaths = 8
        #expect(driver.instance.excesses(under: wanted).map(\.family) == [nil])
        driver.effects = []
        driver.give(.configure(wanted))
        #expect(driver.notification == .cease(.maximumPrefixes))
    }

    @Test("a neighbour that was let go of for want of memory is refused for ten minutes, or until it is cleared")
    func shed() {
        var driver = Driver()
        driver.establish()
        driver.receive(Self.update(0..<3))
        driver.effects = []
        driver.give(.memoryExhausted)
        #expect(driver.notification == .cease(.outOfResources))
        #expect(driver.messages.contains { $0.contains("has the most routes, 3") })
        driver.give(.closed(driver.connection, .finished))
        driver.wait(.seconds(590))
        driver.accept(4)
        #expect(driver.isAborted)
        driver.wait(.seconds(11))
        driver.establish(6)
        driver.give(.memoryExhausted)
        #expect(driver.state == .established, "it has no routes: nothing would be gained")
        #expect(driver.messages.contains { $0.contains("no neighbor has routes") })
        driver.receive(Self.update(0..<1))
        driver.give(.memoryExhausted)
        #expect(driver.instance.neighborSummaries[0].isHeldDown)
        driver.give(.command(.clearNeighbor(address: "10.0.0.2", reason: "")))
        driver.give(.closed(driver.connection, .finished))
        driver.wait(.seconds(3))
        driver.establish(8)
    }
}
