import Machine
import Records
import SPF
import Testing
import Wire

@testable import BGP
@testable import Engine
@testable import ISIS
@testable import OSPF
@testable import RIP
@testable import RTR
@testable import Routing

/// Nothing of the state is forgotten by its snapshot: every stored property is listed by its type, or here.
@Suite struct FieldTests {
    /// What a property of a value is called.
    private static func names(_ value: Any) -> [String] { Mirror(reflecting: value).children.compactMap(\.label) }

    private func listed<T: Fielded>(_: T.Type) throws {
        var value = T.blank
        var counter = FieldCounter()
        value.visit(&counter)
        let names = Self.names(value)
        #expect(
            names.count == counter.fields,
            "\(T.self) stores \(names.joined(separator: ", ")), and its 'visit' names \(counter.fields) of them")

        // The blank comes back, all of its octets are read, and less is refused.
        var writer = SnapshotWriter()
        value.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var again = SnapshotWriter()
        try T(from: &reader).write(to: &again)
        try reader.expectEnd()
        #expect(again.bytes == writer.bytes, "\(T.self)")
        for length in writer.bytes.indices {
            var reader = SnapshotReader(Array(writer.bytes[..<length]))
            #expect(throws: DecodeError.self, "\(T.self)") { _ = try T(from: &reader) }
        }
        var digest = StateDigest()
        value.mix(into: &digest)
        #expect(digest.value != 0, "\(T.self)")
    }

    @Test func `a type lists each of its stored properties once`() throws {
        try listed(ConnectionTuple.self)
        try listed(ConnectionOwner.self)
        try listed(TransportOptions.self)
        try listed(ConnectionIdentity.self)
        try listed(ConnectRequest.self)
        try listed(LineCardImage.TimeWait.self)
        try listed(PacketSubscription.self)
        try listed(NeighborBinding.self)
        try listed(NeighborTable.self)
        try listed(BFDPeer.self)
        try listed(BFDSequenceClock.self)
        try listed(BFDStatus.self)
        try listed(StreamEndpoint.self)
        try listed(SessionAddresses.self)
        try listed(RouteOffer.self)
        try listed(RedistributedRoute.self)
        try listed(RedistributionTable.Entry.self)
        try listed(FatalMemory.self)
        try listed(FatalMemory.Source.self)
        try listed(FatalMemory.Item.self)

        try listed(TransportTable.self)
        try listed(TransportTable.Connection.self)
        try listed(BFDRegistry.Entry.self)
        try listed(BFDRegistry.Interest.self)
        try listed(InteriorGateways.Stop.self)
        try listed(FirstRoutesWatch.self)

        try listed(BGP.Neighbor.self)
        try listed(BGP.Session.self)
        try listed(BGP.Challenger.self)
        try listed(BGP.Retention.self)
        try listed(BGP.Retention.LongLived.self)
        try listed(BGP.ColdStart.self)
        try listed(SessionStateMachine.self)
        try listed(NotificationMessage.self)
        try listed(FatalInputs.Source.self)
        try listed(FatalInputs.Route.self)
        try listed(FatalInputs.Message.self)

        try listed(OSPFInterface.self)
        try listed(OSPFNeighbor.self)
        try listed(DatabaseDescriptionMark.self)
        try listed(LSAHeader.self)
        try listed(LSAKey.self)
        try listed(CalculatedRoute.self)
        try listed(CalculatedRouter.self)

        try listed(Circuit.self)
        try listed(Circuit.LAN.self)
        try listed(Adjacency.self)
        try listed(IgnoredLSP.self)

        try listed(RIPInterface.self)
        try listed(RIPNeighbor.self)
        try listed(RIPNeighbor.Sequence.self)
        try listed(RIP.PendingTable.self)
        try listed(RIP.Reply.self)
        try listed(RIP.ForeignRoute.self)

        try listed(RTR.Cache.self)
        try listed(CacheTiming.self)
    }

    /// Values that are one of several things, and so have no properties to count.
    @Test(arguments: [
        [
            NextHop.connected(InterfaceID(3)), .gateway(IPAddress("192.0.2.1")!), .via(IPAddress("fe80::1")!, InterfaceID(9)),
            .blackhole,
        ]
    ]) func `addresses and next hops come back, and nothing else is taken for one`(hops: [NextHop]) throws {
        var digests: [UInt64] = []
        for hop in hops {
            var writer = SnapshotWriter()
            hop.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            #expect(try NextHop(from: &reader) == hop)
            try reader.expectEnd()
            var digest = StateDigest()
            hop.mix(into: &digest)
            #expect(!digests.contains(digest.value))
            digests.append(digest.value)
        }
        for prefix in ["0.0.0.0/0", "10.1.0.0/16", "2001:db8::/32"].compactMap({ IPPrefix($0) }) {
            var writer = SnapshotWriter()
            prefix.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            #expect(try IPPrefix(from: &reader) == prefix)
        }
        for bytes: [UInt8] in [[5, 0, 0, 0, 0], [4, 0, 0, 0, 0, 33], [9]] {
            var reader = SnapshotReader(bytes)
            #expect(throws: DecodeError.self) { _ = try IPPrefix(from: &reader) }
        }
        var reader = SnapshotReader([4])
        #expect(throws: DecodeError.self) { _ = try NextHop(from: &reader) }
    }

    /// Types that write themselves by hand, because their tables go as whole blocks or a part of them is made again.
    @Test func `a type that is written by hand has no property that its snapshot does not know of`() {
        func hold(_ value: Any, _ known: String) {
            let names = Self.names(value).joined(separator: " ")
            #expect(
                names == known,
                """
                \(type(of: value)) has other stored properties than before. Whoever adds one decides whether it is state: if so, it goes \
                into write(to:) and init(from:), and the schema of the section grows. Then it is listed here.
                """)
        }
        hold(
            EngineState(seed: 1),
            """
            applied now epoch revision configuration transport neighbors routes streams interior bfd firstRoutes keyChains \
            systemDigest
            """)
        hold(StreamProtocols(bgp: 1, others: 2), "bgp rtr processes endpoints trackers isRedundant seed watch")
        var random = RandomNumbers(seed: 1)
        hold(
            InteriorGateways(random: &random),
            "ospf ospfv3 ospfv3IPv4 isis rip ripng subscribed isConfigured isRedundant stops progress")
        hold(
            RouteManager(seed: 1),
            """
            ipv4 ipv6 interfaces isUp statics usableNextHops connected distances destinations toldGateways \
            areGatewaysSuspect redistribution aggregation definitions aggregates4 aggregates6 redistributor4 redistributor6
            """)
        hold(
            BFDRegistry(seed: 1),
            """
            entries peers random isRedundant heldCount configuration interfaceNames changes entriesDigest
            """)
        hold(
            BGPInstance(seed: 1),
            """
            configuration rib neighbors outlets owners lingering timers random trackedNextHops nextHopStates \
            checkedAS fatalInputs coldStart isRedundant challengers arrivals hasFirstRoutesNews progress trapMessage scratch \
            needsHousekeeping
            """)
        hold(RTRInstance(seed: 1), "configuration caches order table lingering timers fatal watch")
        hold(
            OSPFInstance(seed: 1),
            """
            configuration devices carrierLost interfaces neighbors database timers random lastSequence started \
            exchanging flushing dirty backOff needsCalculation decision fatal directAcknowledgements \
            floodedInterfaces mayRemove log watch
            """)
        hold(
            ISISInstance(seed: 1),
            """
            configuration interfaces downInterfaces circuits databases originators backoff calculation timers \
            random overloadReasons fatal ignored counters watch spfLog
            """)
        hold(
            RIPInstance(seed: 1),
            """
            configuration interfaces neighbors neighborOrder table changed pending dirty triggeredNotBefore \
            sequence redistributedDefault refusedForeign isForeignLimitReported isTableLimitReported timers \
            random fatal watch
            """)
        hold(SPFBackOff(), "state")
        hold(
            RIP.Route(),
            """
            firstPath pathCount metric connected foreign garbageAt isChanged isDirty isOffered wasLearned
            """)
        hold(RequestList(), "queue wanted nextStamp outstanding")
        hold(RetransmissionList(), "queue head stamps nextStamp digest")
        hold(TransmitStream(), "start end slices offsets first isFinished")
    }
}
