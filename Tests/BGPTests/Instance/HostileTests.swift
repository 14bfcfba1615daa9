import BGP
import Machine
import Records
import Testing
import Wire

/// Everything that a neighbour can send costs at most its own session.
@Suite struct HostileTests {
    static let update4 =
        Build.origin + Build.path4(65001, 65002) + Build.nextHop + Build.attribute(0x80, 4, [0, 0, 0, 50])
        + Build.attribute(0x40, 6, []) + Build.attribute(0xc0, 7, Build.u32(65001) + [10, 0, 0, 9])
        + Build.attribute(0xc0, 8, [0xfd, 0xe9, 0, 1]) + Build.attribute(0xc0, 16, [0, 2, 0xfd, 0xe9, 0, 0, 0, 1])
        + Build.attribute(0xc0, 32, Build.u32(65001) + Build.u32(1) + Build.u32(2)) + Build.attribute(0xc0, 35, Build.u32(65001))
        + Build.attribute(0xe0, 99, [1, 2, 3])
    static let v4 = Build.update(attributes: update4, nlri: Build.nlri + [16, 10, 1])
    static let v6 = Build.update(
        attributes: Build.reach6(Build.nlri6) + Build.origin + Build.path4(65001) + Build.attribute(0xc0, 8, [0, 1, 0, 1]))
    static let withdraw = Build.update(withdrawn: Build.nlri)
    static let withdraw6 = Build.update(attributes: Build.unreach6(Build.nlri6))

    @Test("a path of two-octet numbers that fills an extended message is treated as withdrawn, and kills nobody")
    func longPath() {
        var driver = Driver { $0.ebgpRequiresPolicy = false }
        driver.accept()
        driver.receive(
            driver.open {
                $0.capabilities.fourOctetAS = nil
                $0.capabilities.extendedMessages = true
            })
        driver.receive(Driver.keepalive)
        driver.receive(
            Build.message(2, Build.update(attributes: Build.origin + Build.path2(65001) + Build.nextHop, nlri: Build.nlri)))
        #expect(driver.prefixes[0] == 1)
        var path: [UInt8] = []
        for _ in 0..<100 { path += [2, 255] + (0..<255).flatMap { _ in Build.u16(65001) } }
        let attributes = Build.origin + Build.attribute(0x50, 2, path) + Build.nextHop
        driver.receive(Build.message(2, Build.update(attributes: attributes, nlri: Build.nlri)))
        #expect(driver.state == .established)
        #expect(driver.prefixes[0] == 0)
        #expect(driver.detail.counters.malformedUpdates == 1)
    }

    @Test("a flipped bit in the attributes of IPv4 routes resets the session only where the RFC has no other way")
    func flips() {
        let start = 4, end = 4 + Self.update4.count
        var resets = 0
        for position in start..<end {
            for bit in 0..<8 {
                var body = Self.v4
                body[position] ^= 1 << UInt8(bit)
                guard case .reset(let code, let subcode, _) = Outcome.of(body) else { continue }
                // Unknown well-known (2), or a type that became MP_REACH_NLRI or MP_UNREACH_NLRI (9), or such a one twice
                // or cut off (1).
                #expect(code == 3)
                #expect([1, 2, 9].contains(subcode), "octet \(position) bit \(bit)")
                resets += 1
            }
        }
        // Mostly types that became well-known ones that nobody knows.
        #expect(resets < (end - start) * 8 / 10)
    }

    @Test(
        "every truncation and every flipped bit of every kind of message leaves a session that is up, or ended by the book",
        arguments: [0, 1, 2, 3, 4])
    func messages(kind: Int) {
        let message = [
            Build.message(2, Self.v4), Build.message(2, Self.v6), Build.message(2, Self.withdraw),
            Build.message(2, Self.withdraw6), RouteRefreshMessage(.ipv4Unicast).encoded,
        ][kind]
        var base = Driver()
        base.establish()
        for position in 0..<message.count {
            for bit in 0..<8 {
                var octets = message
                octets[position] ^= 1 << UInt8(bit)
                var driver = base
                // What follows is sound: a length that grew swallows it.
                driver.receive(octets + Driver.keepalive)
                check(driver)
            }
            var cut = base
            cut.receive(Array(message[..<position]))
            #expect(cut.state == .established)
            // The rest arrives later and is read as if it had come at once.
            cut.receive(Array(message[position...]))
            #expect(cut.state == .established)
            #expect(cut.detail.counters.malformedUpdates == 0)
        }
    }

    private func check(_ driver: Driver) {
        if driver.state == .established { return }
        let notification = driver.notification
        // A flip can also make the type that of a NOTIFICATION, which is obeyed without an answer.
        guard let notification else {
            #expect(driver.detail.lastNotificationReceived != nil)
            return
        }
        #expect(driver.isFinished)
        #expect([1, 2, 3, 5].contains(notification.code))
        #expect(driver.prefixes == [0, 0])
    }

    @Test("every truncation and flipped bit of an OPEN is answered or waited for")
    func opens() {
        var base = Driver()
        base.accept()
        base.effects = []
        let message = base.open()
        for position in 0..<message.count {
            for bit in 0..<8 {
                var octets = message
                octets[position] ^= 1 << UInt8(bit)
                var driver = base
                driver.receive(octets)
                switch driver.state {
                // Also "Active": a passive neighbour's own machine when the incoming one is gone.
                case .openConfirm, .openSent: break
                default:
                    #expect(
                        driver.notification.map { [1, 2, 5].contains($0.code) } ?? true,
                        "octet \(position) bit \(bit)")
                    #expect(driver.isFinished)
                }
            }
            var cut = base
            cut.receive(Array(message[..<position]))
            #expect(cut.state == .openSent)
            cut.receive(Array(message[position...]))
            #expect(cut.state == .openConfirm)
        }
    }

    @Test("garbage of any kind never traps and memory stays within a message", arguments: 1...30 as ClosedRange<UInt64>)
    func garbage(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var driver = Driver()
        for round in 0..<40 {
            if driver.state != .established { driver.accept(UInt32(round * 2 + 2)) }
            if random.chance(1, in: 2), driver.state == .openSent {
                driver.receive(driver.open())
                driver.receive(Driver.keepalive)
            }
            for _ in 0..<20 {
                var body = (0..<random.number(in: 0...200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                if random.chance(1, in: 3) { body = [Self.v4, Self.v6, Self.withdraw6][random.number(in: 0...2)] }
                for _ in 0..<random.number(in: 0...3) where !body.isEmpty {
                    body[random.number(in: 0...(body.count - 1))] = UInt8(truncatingIfNeeded: random.next())
                }
                let type = random.chance(3, in: 4) ? 2 : UInt8(random.number(in: 0...7))
                driver.receive(random.chance(1, in: 8) ? body : Build.message(type, body))
            }
            driver.wait(.seconds(random.number(in: 0...200)))
        }
        var writer = SnapshotWriter()
        driver.instance.write(to: &writer)
        #expect(writer.bytes.count < 1 << 20)
    }

    @Test("an endless message is not collected beyond the longest that is allowed")
    func endless() {
        var driver = Driver()
        driver.establish()
        driver.receive(Array(repeating: 0xff, count: 16) + [0x10, 1, 2] + Array(repeating: 0, count: 60000))
        #expect(driver.notification == .header(.badMessageLength, [0x10, 1]))
        #expect(driver.isFinished)
    }

    @Test("what comes after the end of a session is not looked at")
    func afterTheEnd() {
        var driver = Driver()
        driver.establish()
        driver.receive(Build.message(9, []) + Build.message(2, Self.v4))
        #expect(driver.notification == .header(.badMessageType, [9]))
        driver.receive(Build.message(2, Self.v4))
        #expect(driver.prefixes == [0, 0])
    }

    @Test("a connection that neither speaks nor closes is given up after the large hold time")
    func silent() {
        var driver = Driver()
        driver.accept()
        driver.wait(.seconds(239))
        #expect(driver.state == .openSent)
        driver.wait(.seconds(2))
        #expect(driver.notification == .holdTimerExpired)
        #expect(driver.isFinished)
    }

    @Test("a neighbour that does not close after our NOTIFICATION is aborted in the end")
    func linger() {
        var driver = Driver()
        driver.establish()
        driver.receive(Build.message(9, []))
        #expect(driver.isFinished)
        #expect(!driver.isAborted)
        driver.wait(.seconds(60))
        #expect(driver.isAborted)
    }

    @Test("treat-as-withdraw takes the routes and leaves the session")
    func treatAsWithdraw() {
        var driver = Driver()
        driver.establish()
        driver.receive(Build.message(2, Self.v4))
        driver.receive(Build.message(2, Self.v6))
        #expect(driver.prefixes == [2, 1])
        let bad = Build.update(attributes: Build.attribute(0x40, 1, [9]) + Build.path4(65001) + Build.nextHop, nlri: Build.nlri)
        driver.receive(Build.message(2, bad))
        #expect(driver.prefixes == [1, 1])
        let bad6 = Build.update(attributes: Build.reach6(Build.nlri6) + Build.path4(65001))
        driver.receive(Build.message(2, bad6))
        #expect(driver.prefixes == [1, 0])
        #expect(driver.state == .established)
        #expect(driver.detail.counters.malformedUpdates == 2)
        #expect(driver.messages.contains { $0.contains("treated as withdraw") })
    }

    @Test("the same block that was once sound is not trusted when its list is cut short")
    func cutList() {
        var driver = Driver()
        driver.establish()
        let sound = Build.origin + Build.path4(65001) + Build.nextHop
        driver.receive(Build.message(2, Build.update(attributes: sound, nlri: Build.nlri)))
        #expect(driver.prefixes == [1, 0])
        driver.receive(Build.message(2, Build.update(attributes: sound + [0xc0, 8, 9], nlri: Build.nlri)))
        #expect(driver.prefixes == [0, 0])
        #expect(driver.state == .established)
    }

    @Test("a family that is disabled stays so, the other goes on")
    func disabled() {
        var driver = Driver()
        driver.establish()
        driver.receive(Build.message(2, Self.v4) + Build.message(2, Self.v6))
        #expect(driver.prefixes == [2, 1])
        let bad = Build.update(attributes: Build.reach6([129]) + Build.origin + Build.path4(65001))
        driver.receive(Build.message(2, bad) + Build.message(2, Self.v6))
        driver.wait(.seconds(1))
        #expect(driver.state == .established)
        #expect(driver.prefixes == [2, 0])
        driver.receive(Build.message(2, Self.v6))
        #expect(driver.prefixes == [2, 0])
        #expect(driver.detail.summary.families.map(\.isDisabled) == [false, true])
    }

    @Test("the first AS must be the neighbour's, unless the check is off")
    func firstAS() {
        let foreign = Build.update(attributes: Build.origin + Build.path4(65009) + Build.nextHop, nlri: Build.nlri)
        var strict = Driver()
        strict.establish()
        strict.receive(Build.message(2, foreign))
        #expect(strict.prefixes == [0, 0])
        var lenient = Driver { $0.neighbors[0].enforceFirstAS = false }
        lenient.establish()
        lenient.receive(Build.message(2, foreign))
        #expect(lenient.prefixes == [1, 0])
    }

    @Test("the same octets mean different things on internal and external sessions")
    func contexts() {
        let internalOnly = Build.origin + Build.path4(65001) + Build.nextHop
        var external = Driver()
        external.establish()
        external.receive(Build.message(2, Build.update(attributes: internalOnly, nlri: Build.nlri)))
        #expect(external.prefixes == [1, 0])
        var inside = Driver(isInternal: true)
        inside.establish()
        inside.receive(Build.message(2, Build.update(attributes: internalOnly, nlri: Build.nlri)))
        #expect(inside.prefixes == [0, 0])
        inside.receive(Build.message(2, Build.update(attributes: internalOnly + Build.localPref, nlri: Build.nlri)))
        #expect(inside.prefixes == [1, 0])
    }
}
