import Machine
import Testing
import Wire

@testable import BGP

/// Round trips, and what the encoders promise.
@Suite struct CodecTests {
    static let open: OpenMessage = {
        var capabilities = Capabilities()
        capabilities.hasMultiprotocol = true
        capabilities.families = [.ipv4Unicast, .ipv6Unicast]
        capabilities.routeRefresh = true
        capabilities.extendedMessages = true
        capabilities.fourOctetAS = ASNumber(4_200_000_001)
        return OpenMessage(
            asNumber: ASNumber(4_200_000_001), holdTime: 90, identifier: RouterID("10.0.0.1")!,
            capabilities: capabilities)
    }()

    static func body(_ message: [UInt8]) -> [UInt8] { Array(message[19...]) }

    @Test("OPEN comes back as it was, with AS_TRANS in the two-octet field")
    func openRoundTrip() throws {
        let message = Self.open.encoded
        let header = try MessageHeader(message.span.bytes, at: 0, extended: false)
        #expect(header == MessageHeader(length: message.count, type: .open))
        let body = Self.body(message)
        let read = try OpenMessage(body: body.span.bytes)
        #expect(read == Self.open)
        #expect(read.asField == 23456)
        #expect(read.asNumber == ASNumber(4_200_000_001))
    }

    /// An OPEN body with these optional parameters.
    static func openBody(_ parameters: [UInt8], length: UInt8? = nil) -> [UInt8] {
        [4, 0xfd, 0xe9, 0, 90, 10, 0, 0, 2, length ?? UInt8(parameters.count)] + parameters
    }

    @Test("RFC 9072: the extended form of optional parameters")
    func extendedParameters() throws {
        let body = Self.openBody([255, 0, 7, 2, 0, 4, 2, 0, 70, 0], length: 255)
        let read = try OpenMessage(body: body.span.bytes)
        #expect(read.capabilities.routeRefresh)
        #expect(read.capabilities.enhancedRouteRefresh)
    }

    @Test("RFC 4724 and unknown capabilities are noted")
    func otherCapabilities() throws {
        let body = Self.openBody([2, 14, 64, 6, 0x80, 120, 0, 1, 1, 0, 73, 2, 1, 65, 200, 0])
        let read = try OpenMessage(body: body.span.bytes)
        #expect(
            read.capabilities.gracefulRestart
                == Capabilities.GracefulRestart(isRestarting: true, time: 120, families: .ipv4Unicast))
        #expect(read.capabilities.gracefulRestart?.hasNotification == false)
        #expect(read.capabilities.others == [73, 200])
        #expect(read.capabilities.effectiveFamilies == .ipv4Unicast)
    }

    @Test("RFC 4724, 8538 and 9494: capabilities of restarts come back as they were, and the last word counts")
    func restartCapabilities() throws {
        var open = Self.open
        open.capabilities.enhancedRouteRefresh = true
        for (flags, families) in [(false, [] as RouteFamilySet), (true, [.ipv4Unicast, .ipv6Unicast])] {
            open.capabilities.gracefulRestart = .init(
                isRestarting: flags, time: 4095, families: families, forwarding: families.intersection(.ipv6Unicast),
                hasNotification: flags)
            var longLived = Capabilities.LongLivedGracefulRestart()
            for family in RouteFamily.configurable where families.contains(family) {
                longLived.set(.init(family, time: 0xab_cdef, isPreserved: family == .ipv4Unicast))
            }
            open.capabilities.longLivedGracefulRestart = longLived
            let body = Self.body(open.encoded)
            #expect(try OpenMessage(body: body.span.bytes) == open)
        }
        func capabilities(_ tuples: [UInt8]) throws -> Capabilities {
            let body = Self.openBody([2, UInt8(tuples.count)] + tuples)
            return try OpenMessage(body: body.span.bytes).capabilities
        }
        // RFC 4724 §3: all but the last instance are ignored. A family twice, and one that nobody here carries.
        let restart = try capabilities([64, 2, 0, 9, 64, 14, 0x40, 7, 0, 1, 1, 0x80, 0, 1, 1, 0, 0, 1, 128, 0x80]).gracefulRestart
        #expect(restart == .init(isRestarting: false, time: 7, families: .ipv4Unicast, hasNotification: true))
        let long = try capabilities([71, 14, 0, 1, 1, 0x80, 0, 0, 9, 0, 1, 1, 0, 1, 0, 0]).longLivedGracefulRestart
        #expect(long?.families == [.init(.ipv4Unicast, time: 65536, isPreserved: false)])
        #expect(try capabilities([71, 0]).longLivedGracefulRestart?.families == [])
        #expect(try capabilities([71, 6, 0, 1, 1, 0x80, 0, 0]).longLivedGracefulRestart == nil)
    }

    @Test("RFC 9494 §4.5: without the capability of RFC 4724 the other one means nothing")
    func longLivedAlone() throws {
        var local = Self.open, remote = Self.open
        remote.identifier = RouterID("10.0.0.9")!
        local.capabilities.gracefulRestart = .init(isRestarting: false, time: 1, families: [], hasNotification: true)
        local.capabilities.longLivedGracefulRestart = .init()
        remote.capabilities.longLivedGracefulRestart = .init()
        func session() throws -> NegotiatedSession {
            try NegotiatedSession(local: local, remote: remote, remoteAS: remote.asNumber, isInternal: true)
        }
        #expect(try session().longLivedGracefulRestart == nil)
        remote.capabilities.gracefulRestart = .init(isRestarting: false, time: 5, families: .ipv4Unicast)
        #expect(try session().longLivedGracefulRestart != nil)
        #expect(try session().gracefulRestart?.time == 5)
        #expect(try !session().gracefulNotification)
        remote.capabilities.gracefulRestart?.hasNotification = true
        #expect(try session().gracefulNotification)
        local.capabilities.gracefulRestart = nil
        #expect(try session().gracefulRestart == nil)
        #expect(try !session().gracefulNotification)
    }

    @Test("RFC 8538 §3: a Hard Reset has the NOTIFICATION that it stands for as its data")
    func hardReset() {
        let plain = NotificationMessage.cease(.administrativeShutdown, communication: "bye")
        let hard = plain.asHardReset
        #expect(hard.code == 6 && hard.subcode == 9 && hard.data == [6, 2, 3] + Array("bye".utf8))
        #expect(hard.encapsulated == plain && hard.asHardReset == hard && plain.encapsulated == nil)
        #expect(hard.description == "Cease: hard reset (6/9), Cease: administrative shutdown (6/2) \"bye\"")
        #expect(NotificationMessage.cease(.hardReset).encapsulated == nil)
        // However deep somebody nests them, one is told.
        #expect(NotificationMessage.cease(.hardReset, [6, 9, 6, 9, 6, 9]).description.count < 80)
        let lasting = (0...12).filter { NotificationMessage(code: 6, subcode: UInt8($0)).isLasting }
        #expect(lasting == [1, 2, 3, 4, 8, 9, 10])
        #expect(!NotificationMessage.holdTimerExpired.isLasting && !NotificationMessage.update(.invalidOrigin).isLasting)
    }

    @Test("RFC 4271 §6.2: each error of OPEN has its subcode")
    func openErrors() {
        func error(_ body: [UInt8]) -> NotificationMessage? {
            do {
                _ = try OpenMessage(body: body.span.bytes)
                return nil
            } catch { return error }
        }
        var body = Self.openBody([])
        #expect(error(body) == nil)
        body[0] = 3
        #expect(error(body) == .open(.unsupportedVersionNumber, [0, 4]))
        body = Self.openBody([])
        body[4] = 2
        #expect(error(body) == .open(.unacceptableHoldTime))
        body = Self.openBody([])
        body.replaceSubrange(5..<9, with: [0, 0, 0, 0])
        #expect(error(body) == .open(.badBGPIdentifier))
        body = Self.openBody([])
        body.replaceSubrange(1..<3, with: [0, 0])
        #expect(error(body) == .open(.badPeerAS))
        #expect(error(Self.openBody([1, 1, 0])) == .open(.unsupportedOptionalParameter))
        #expect(error(Self.openBody([2, 9, 2, 0])) == .open(.unspecific))
        #expect(error(Self.openBody([2, 3, 65, 4, 0])) == .open(.unspecific))
        #expect(error(Self.openBody([], length: 5)) == .open(.unspecific))
        #expect(error(Self.openBody([0, 0], length: 0)) == .open(.unspecific))
    }

    /// Value octets behind the code and a length that is not the code's own.
    @Test(
        "a capability whose length is not that of its code refuses no session: what the code alone says counts, the rest does not"
    )
    func capabilityLengths() throws {
        func capabilities(_ tuples: [UInt8]) throws -> Capabilities {
            let body = Self.openBody([2, UInt8(tuples.count)] + tuples)
            return try OpenMessage(body: body.span.bytes).capabilities
        }
        let flags = try capabilities([2, 1, 7, 6, 2, 1, 2, 70, 1, 0])
        #expect(flags.routeRefresh && flags.extendedMessages && flags.enhancedRouteRefresh)
        // A good one beside a bad one counts.
        let families = try capabilities([1, 3, 0, 1, 0, 1, 5, 0, 1, 0, 1, 9, 1, 4, 0, 2, 0, 1])
        #expect(families.hasMultiprotocol && families.families == .ipv6Unicast)
        #expect(try !capabilities([1, 0]).hasMultiprotocol)
        // RFC 4760 §8: whatever family it is, it comes back; those that nobody here carries are noted.
        let any: [UInt8] = [1, 4, 0, 1, 0, 4, 1, 4, 0, 8, 0, 1, 1, 4, 0, 1, 0, 128, 1, 4, 0x40, 4, 0, 71]
        let foreign = try capabilities(any)
        #expect(foreign.families == [RouteFamilySet(.ipv4LabelledUnicast), RouteFamilySet(.e164)])
        #expect(foreign.otherFamilies == [FamilyCode(afi: 1, safi: 128), FamilyCode(afi: 0x4004, safi: 71)])
        #expect(foreign.encoded == any)
        #expect(try capabilities([65, 2, 0, 7]).fourOctetAS == nil)
        #expect(try capabilities([65, 5, 0, 0, 0, 7, 0]).fourOctetAS == nil)
        for value: [UInt8] in [[], [0], [0, 9, 0], [0, 9, 0, 1, 1]] {
            #expect(try capabilities([64, UInt8(value.count)] + value).gracefulRestart == nil)
        }
        #expect(try capabilities([64, 6, 0x80, 9, 0, 1, 1, 0x80]).gracefulRestart?.time == 9)
    }

    @Test("negotiation takes the smaller hold time and what both offer")
    func negotiation() throws {
        let local = Self.open
        var remote = OpenMessage(
            asNumber: ASNumber(65002), holdTime: 30, identifier: RouterID("10.0.0.2")!, capabilities: Capabilities())
        let plain = try NegotiatedSession(local: local, remote: remote, remoteAS: ASNumber(65002), isInternal: false)
        #expect(plain.holdTime == 30)
        #expect(plain.families == .ipv4Unicast)
        #expect(!plain.fourOctetAS)
        #expect(!plain.extendedMessages)
        remote.capabilities.hasMultiprotocol = true
        remote.capabilities.families = []
        #expect(throws: NotificationMessage.open(.unsupportedCapability, [1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1])) {
            try NegotiatedSession(local: local, remote: remote, remoteAS: ASNumber(65002), isInternal: false)
        }
        #expect(throws: NotificationMessage.open(.badPeerAS)) {
            try NegotiatedSession(local: local, remote: remote, remoteAS: ASNumber(65003), isInternal: false)
        }
        remote.identifier = local.identifier
        #expect(throws: NotificationMessage.open(.badBGPIdentifier)) {
            try NegotiatedSession(local: local, remote: remote, remoteAS: ASNumber(65002), isInternal: true)
        }
    }

    @Test("RFC 4271 §6.1: each error of the header has its subcode and data")
    func headerErrors() {
        func error(_ message: [UInt8], extended: Bool = false) -> NotificationMessage? {
            do {
                _ = try MessageHeader(message.span.bytes, at: 0, extended: extended)
                return nil
            } catch { return error }
        }
        let keepalive = Build.message(4, [])
        #expect(error(keepalive) == nil)
        var wrong = keepalive
        wrong[7] = 0xfe
        #expect(error(wrong) == .header(.connectionNotSynchronized))
        wrong = keepalive
        wrong[17] = 18
        #expect(error(wrong) == .header(.badMessageLength, [0, 18]))
        wrong[16] = 0x10
        wrong[17] = 1
        #expect(error(wrong) == .header(.badMessageLength, [0x10, 1]))
        wrong[18] = 2
        #expect(error(wrong, extended: true) == nil)
        #expect(error(Build.message(4, [0])) == .header(.badMessageLength, [0, 20]))
        #expect(error(Build.message(1, Array(repeating: 0, count: 9))) == .header(.badMessageLength, [0, 28]))
        #expect(error(Build.message(2, [0, 0, 0])) == .header(.badMessageLength, [0, 22]))
        #expect(error(Build.message(3, [0])) == .header(.badMessageLength, [0, 20]))
        #expect(error(Build.message(5, [0, 1, 0])) == .header(.badMessageLength, [0, 22]))
        #expect(error(Build.message(9, [])) == .header(.badMessageType, [9]))
        #expect(error(Build.message(0, [])) == .header(.badMessageType, [0]))
    }

    @Test("RFC 9003: the text comes back, and a bad one is no text")
    func shutdownCommunication() {
        let sent = NotificationMessage.cease(.administrativeShutdown, communication: "[TICKET-1] wartung ä")
        let body = Self.body(sent.encoded)
        let read = NotificationMessage(body: body.span.bytes)
        #expect(read == sent)
        #expect(read.communication == "[TICKET-1] wartung ä")
        let long = NotificationMessage.cease(.administrativeReset, communication: String(repeating: "ä", count: 200))
        #expect(long.data.count == 255)
        #expect(long.communication == String(repeating: "ä", count: 127))
        #expect(NotificationMessage.cease(.administrativeReset, [9, 65]).communication == nil)
        #expect(NotificationMessage.cease(.administrativeReset, [2, 0xc3, 0x28]).communication == nil)
        #expect(NotificationMessage.cease(.administrativeReset, [3, 65, 27, 66]).communication == "A B")
        #expect(NotificationMessage.cease(.maximumPrefixes, [1, 65]).communication == nil)
    }

    @Test("ROUTE-REFRESH comes back; RFC 7313 refuses a wrong length")
    func routeRefresh() throws {
        let message = RouteRefreshMessage(.ipv6Unicast)
        let body = Self.body(message.encoded)
        #expect(body == [0, 2, 0, 1])
        #expect(try RouteRefreshMessage(body: body.span.bytes, enhanced: true) == message)
        let long: [UInt8] = [0, 2, 1, 1, 0]
        #expect(throws: NotificationMessage(code: 7, subcode: 1, data: Build.message(5, long))) {
            try RouteRefreshMessage(body: long.span.bytes, enhanced: true)
        }
        #expect(try RouteRefreshMessage(body: long.span.bytes, enhanced: false).family == .ipv6Unicast)
    }

    // MARK: attributes

    func decode(_ block: [UInt8], _ context: UpdateContext = Build.context()) -> (PathAttributes, AttributeFault?) {
        var attributes = PathAttributes()
        let fault = attributes.decode(block: block.span.bytes, context: context, hasReachableNLRI: true)
        return (attributes, fault)
    }
    func encode(_ attributes: PathAttributes, fourOctetAS: Bool = true) -> [UInt8] {
        var writer = ByteWriter()
        attributes.encode(into: &writer, fourOctetAS: fourOctetAS)
        return writer.bytes
    }

    static let rich: [UInt8] =
        Build.origin
        + Build.attribute(0x40, 2, [2, 2] + Build.u32(65001) + Build.u32(4_200_000_000) + [1, 2] + Build.u32(7) + Build.u32(8))
        + Build.nextHop + Build.attribute(0x80, 4, [0, 0, 0, 50]) + Build.attribute(0x40, 6, [])
        + Build.attribute(0xe0, 7, Build.u32(65001) + [10, 0, 0, 9])
        + Build.attribute(0xc0, 8, [0xfd, 0xe9, 0, 1, 0xff, 0xff, 0xff, 1])
        + Build.attribute(0xc0, 16, [0, 2, 0xfd, 0xe9, 0, 0, 0, 1]) + Build.attribute(0xe0, 25, Array(repeating: 3, count: 20))
        + Build.attribute(0xc0, 32, Build.u32(65001) + Build.u32(1) + Build.u32(2)) + Build.attribute(0xe0, 99, [1, 2, 3])

    @Test("attributes come back octet for octet when they were canonical")
    func attributesRoundTrip() {
        let (attributes, fault) = decode(Self.rich)
        #expect(fault == nil)
        #expect(encode(attributes) == Self.rich)
        #expect(attributes.asPathLength == 3)
        #expect(attributes.neighborAS == ASNumber(65001))
        #expect(attributes.originAS == .zero)
        #expect(attributes.med == 50)
        #expect(attributes.asPathDescription == "65001 4200000000 {7 8}")
    }

    @Test("any order, lengths and known partial bits become the canonical form")
    func canonical() {
        let shuffled =
            Build.attribute(0xc0, 99, [1]) + Build.attribute(0x50, 1, [0]) + Build.nextHop + Build.attribute(0xc0, 90, [2])
            + Build.path4(65001)
        let (attributes, fault) = decode(shuffled)
        #expect(fault == nil)
        // RFC 4271 §9: the Partial bit of what we do not know is set.
        #expect(
            encode(attributes) == Build.origin + Build.path4(65001) + Build.nextHop + Build.attribute(0xe0, 90, [2])
                + Build.attribute(0xe0, 99, [1]))
    }

    @Test("a two-octet speaker gets AS_TRANS with AS4_PATH and AS4_AGGREGATOR, and they merge again")
    func fourOctetTransition() {
        let block =
            Build.origin + Build.path4(65001, 4_200_000_000) + Build.nextHop
            + Build.attribute(0xc0, 7, Build.u32(4_200_000_000) + [10, 0, 0, 9])
        let (attributes, _) = decode(block)
        let old = encode(attributes, fourOctetAS: false)
        #expect(
            old == Build.origin + Build.path2(65001, 23456) + Build.nextHop + Build.attribute(0xc0, 7, [0x5b, 0xa0, 10, 0, 0, 9])
                + Build.attribute(0xc0, 17, [2, 2] + Build.u32(65001) + Build.u32(4_200_000_000))
                + Build.attribute(0xc0, 18, Build.u32(4_200_000_000) + [10, 0, 0, 9]))
        let (merged, fault) = decode(old, Build.context(fourOctetAS: false))
        #expect(fault == nil)
        #expect(merged == attributes)
    }

    @Test("RFC 6793 §4.2.3: the head of AS_PATH goes before AS4_PATH")
    func as4Head() {
        let context = Build.context(fourOctetAS: false)
        let as4 = Build.attribute(0xc0, 17, [2, 1] + Build.u32(4_200_000_000))
        let (attributes, _) = decode(Build.origin + Build.path2(1, 2, 23456) + Build.nextHop + as4, context)
        #expect(attributes.asPathDescription == "1 2 4200000000")
        #expect(attributes.asPathLength == 3)
        // A longer AS4_PATH is ignored.
        let long = Build.attribute(0xc0, 17, [2, 2] + Build.u32(9) + Build.u32(4_200_000_000))
        let (kept, _) = decode(Build.origin + Build.path2(23456) + Build.nextHop + long, context)
        #expect(kept.asPathDescription == "23456")
        // An AGGREGATOR that is not AS_TRANS voids both.
        let aggregators =
            Build.attribute(0xc0, 7, [0, 9, 10, 0, 0, 9]) + as4 + Build.attribute(0xc0, 18, Build.u32(8) + [10, 0, 0, 8])
        let (void, _) = decode(Build.origin + Build.path2(1, 23456) + Build.nextHop + aggregators, context)
        #expect(void.asPathDescription == "1 23456")
        #expect(void.aggregatorAS == ASNumber(9))
        // RFC 6793 §6: confederation segments in it are left out.
        let confederation = Build.attribute(0xc0, 17, [3, 1] + Build.u32(5) + [2, 1] + Build.u32(4_200_000_000))
        let (without, fault) = decode(Build.origin + Build.path2(1, 23456) + Build.nextHop + confederation, context)
        #expect(fault == nil)
        #expect(without.asPathDescription == "1 4200000000")
    }

    @Test("prepending fills the first sequence up to 255 and then begins another")
    func prepend() {
        var (attributes, _) = decode(Build.origin + Build.path4(65001) + Build.nextHop)
        attributes.prepend(ASNumber(65000), count: 256, routerAS: ASNumber(65000))
        #expect(attributes.asPathLength == 257)
        #expect(attributes.ownASCount == 255)
        #expect(attributes.asPath[0...1] == [2, 2])
        #expect(attributes.neighborAS == ASNumber(65000))
        attributes.removePrivateAS(routerAS: ASNumber(65000))
        #expect(attributes.asPath.isEmpty)
    }

    // MARK: views

    @Test("the block is what is left when the multiprotocol attributes are taken out, wherever they are")
    func block() throws {
        let o = Build.origin, p = Build.path4(65001), r = Build.reach6(Build.nlri6), u = Build.unreach6(Build.nlri6)
        let orders: [([[UInt8]], Bool)] = [
            ([r, o, p], true), ([o, r, p], false), ([o, p, r], true), ([r, u, o, p], true), ([r, o, p, u], true),
            ([o, r, p, u], false), ([o, p, u, r], true), ([o, u, r, p], false), ([u, o, r, p], false), ([o, p], true),
        ]
        for (parts, contiguous) in orders {
            let body = Build.update(attributes: parts.flatMap { $0 })
            let update = try UpdateMessage(body: body.span.bytes, context: Build.context())
            var gathered: [UInt8] = []
            update.gatherBlock(into: &gathered)
            #expect(gathered == o + p)
            #expect(update.isBlockContiguous == contiguous)
            if contiguous { #expect([UInt8](copying: update.block) == o + p) }
        }
    }

    @Test("RFC 4724 §2: End-of-RIB of both forms")
    func endOfRIB() throws {
        func family(_ body: [UInt8]) throws -> RouteFamily? {
            try UpdateMessage(body: body.span.bytes, context: Build.context()).endOfRIB
        }
        #expect(try family(Build.update()) == .ipv4Unicast)
        #expect(try family(Build.update(attributes: Build.unreach6([]))) == .ipv6Unicast)
        #expect(try family(Build.update(attributes: Build.unreach6([]) + Build.origin)) == nil)
        #expect(try family(Build.update(attributes: Build.unreach6(Build.nlri6))) == nil)
        #expect(try family(Build.update(withdrawn: Build.nlri)) == nil)
        var builder = MessageBuilder(maximum: 4096)
        builder.appendEndOfRIB(IPv4Unicast.self, .all)
        #expect(try family(Self.body(builder.octets)) == .ipv4Unicast)
        builder = MessageBuilder(maximum: 4096)
        builder.appendEndOfRIB(IPv6Unicast.self, .all)
        #expect(try family(Self.body(builder.octets)) == .ipv6Unicast)
    }
}
