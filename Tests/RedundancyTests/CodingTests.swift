import Machine
import Records
import Testing
import Wire

@testable import Redundancy

/// The bytes on the channel: every message survives the way, and no octets from a stranger do harm.
@Suite struct CodingTests {
    static let identity: ConnectionIdentity = {
        var options = TransportOptions()
        options.md5Key = [1, 2, 3]
        options.hopLimit = 255
        return ConnectionIdentity(
            tuple: ConnectionTuple(
                interface: InterfaceID(3), local: IPAddress("2001:db8::1")!, localPort: 179,
                remote: IPAddress("2001:db8::2")!, remotePort: 40_000),
            initialSendSequence: 0xffff_fff0, initialReceiveSequence: 7, peerMaximumSegmentSize: 1440, peerWindowShift: nil,
            windowShift: 7, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 0x8000_0001,
            options: options)
    }()

    static let packet = ReceivedPacket(
        interface: InterfaceID(4), packetProtocol: .llc(0xfefe03), source: .station(MACAddress(raw: 0x0200_0000_0001)),
        destination: .ip(IPAddress("ff02::5")!), sourcePort: 520, hopLimit: 255, bytes: [1, 2, 3])

    static let bfdStatus: BFDStatus = {
        var status = BFDStatus()
        status.state = .up
        status.diagnostic = .neighborSignaledDown
        status.remoteDiscriminator = 0xdead_beef
        status.remoteState = .initializing
        status.remoteDiagnostic = .administrativelyDown
        status.remoteMinRx = 50_000
        status.remoteDesiredMinTx = 60_000
        status.remoteMultiplier = 5
        status.remoteDemand = true
        status.remoteIsIndependent = true
        status.transmitInUse = 300_000
        status.receiveInUse = 200_000
        status.isPolled = false
        status.sequence = BFDSequenceClock(base: 77, since: Instant(nanoseconds: 5), quantum: 9)
        status.receivedSequence = 0
        return status
    }()

    static let bodies: [RecordBody] = [
        .time, .tcpAccepted(ConnectionID(2), identity), .tcpConnected(ConnectionID(3), identity),
        .tcpReceived(ConnectionID(2), bytes: Array(0...255), peerTimestamp: 99),
        .tcpReceived(ConnectionID(2), bytes: [], peerTimestamp: 0),
        .tcpAcknowledged(ConnectionID(2), offset: 1 << 40), .tcpPeerFinished(ConnectionID(2)),
        .tcpClosed(ConnectionID(2), .timedOut), .interfaceState(InterfaceID(1), isUp: false),
        .configure(revision: 7, [9, 9, 9]), .command(.clearNeighbor(address: "192.0.2.1", reason: "höher")),
        .command(.softClearIn(address: "a")), .command(.softClearOut(address: "")), .command(.testHang),
        .command(.testTrap), .mastership(.b, Epoch(9), isFresh: true), .quarantined(.other),
        .quarantined(.connection(ConnectionID(5))), .quarantined(.packet(packet)), .packetReceived(packet),
        .quarantined(.packet(packet, message: 7)), .quarantined(.session(7)),
        .quarantined(.timers(3, .packetReceived(packet))), .quarantined(.timers(0, .time)),
        .command(.clearSession(neighbor: "fe80::1%lan")),
        .bfd(BFDReport(discriminator: 7, status: BFDStatus())), .bfd(BFDReport(discriminator: .max, status: bfdStatus)),
        .command(.clearAdjacency(.llc(0xfefe03), neighbor: "0000.0000.0001")), .redundancy(true), .memoryExhausted,
        .command(.clearCache(address: "2001:db8::323")),
        .neighbor(.init(interface: InterfaceID(3), address: IPAddress("192.0.2.9")!, mac: MACAddress(raw: 0x0200_0000_0009))),
        .neighbor(.init(interface: InterfaceID(0), address: IPAddress("fe80::9")!, mac: MACAddress(raw: 0x0200_0000_0009))),
    ]

    static let records: [Record] = bodies.enumerated().map { i, body in
        Record(index: LogIndex(UInt64(100 + i)), time: Instant(nanoseconds: Int64(i) * 1000), body: body)
    }

    static let hello = Hello(
        routerName: "r1", pairID: 5, controller: .a, state: .booting, epoch: Epoch(3), wasActive: true,
        isPreferred: false, bootNonce: 8, configuration: .init(epoch: Epoch(3), index: LogIndex(9), revision: 4),
        hasLostConfiguration: true, gaspToken: .init(high: 1, low: 2),
        identity: 17, keyFingerprint: 18, keyShare: PairKey(high: 19, low: 20))

    static let messages: [ChannelMessage] = [
        .hello(hello), .refuse(reason: "no"), .goodbye(reason: "bye", fatal: LogIndex(4)),
        .nudge, .leaving(reason: "offline: release 0.2"),
        .records(Epoch(2), records), .stored(LogIndex(9)), .applied(LogIndex(9), ReplicaDigest([1, 2, 3])),
        .verified(LogIndex(9), difference: 5), .inSync(true, from: 77), .join,
        .bulkBegin(number: 1, index: LogIndex(2), octets: 3, ReplicaDigest([])),
        .bulkChunk(number: 1, offset: 0, [1, 2, 3]), .bulkReceived(number: 1, octets: 3),
        .bulkEnd(number: 1, hash: 99), .bulkRefused(number: 1, reason: "damaged"),
        .switchover(.announce(number: 1, upTo: LogIndex(2), reason: "r")),
        .switchover(.replicated(number: 1, verified: LogIndex(2), difference: 3)), .switchover(.beReady(number: 1)),
        .switchover(.ready(number: 1)), .switchover(.notReady(number: 1, reason: "r")),
        .switchover(.relinquish(number: 1, epoch: Epoch(2), last: LogIndex(3), digest: ReplicaDigest([4]))),
        .switchover(.tookOver(number: 1, epoch: Epoch(2), last: LogIndex(3))), .switchover(.following(number: 1)),
        .switchover(.abort(number: 1, reason: "r")),
        .frames([
            ForwardedFrame(interface: InterfaceID(1), octets: [1, 2]), ForwardedFrame(interface: InterfaceID(2), octets: []),
        ]),
        .mirror(transaction: 1, [5]), .mirrorAnswer(transaction: 1, refusal: "full"),
    ]

    @Test("Every message is the same after the way over the channel, in portions of any size", arguments: [1, 2, 7, 4096])
    func roundTrip(portion: Int) throws {
        var writer = ByteWriter()
        for message in Self.messages { message.write(to: &writer) }
        var receiver = ChannelReceiver()
        var received: [ChannelMessage] = []
        for start in stride(from: 0, to: writer.count, by: portion) {
            receiver.append(Array(writer.bytes[start..<min(start + portion, writer.count)]))
            while let message = try receiver.next() { received.append(message) }
        }
        #expect(received == Self.messages)
        #expect(receiver.pending == 0)
    }

    @Test("Every truncation of every message is refused")
    func truncation() {
        for message in Self.messages {
            let bytes = Array(message.encoded()[4...])
            for count in 0..<bytes.count {
                let part = Array(bytes[..<count])
                #expect(throws: DecodeError.self) { try ChannelMessage(decoding: part.span.bytes) }
            }
        }
    }

    @Test("Every flipped bit of every message is refused or gives a message that encodes again")
    func bitFlips() {
        for message in Self.messages {
            let bytes = Array(message.encoded()[4...])
            for bit in 0..<(bytes.count * 8) {
                var flipped = bytes
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                guard let other = try? ChannelMessage(decoding: flipped.span.bytes) else { continue }
                #expect(other != message, "bit \(bit) means something")
            }
        }
    }

    @Test("Before the hello a long frame is refused at its length, and nothing is read after an error")
    func longFrame() {
        var receiver = ChannelReceiver()
        receiver.append([0, 1, 0, 0, 5])
        #expect(throws: DecodeError.self) { try receiver.next() }
        receiver.append(ChannelMessage.join.encoded())
        #expect((try? receiver.next()) == .some(nil))
    }

    @Test("A fault of timers keeps the record that they were due in, and nests no further")
    func timersInRecord() throws {
        let message = Poison.firstTimersMessage | 4
        let received = Record(
            index: LogIndex(5), time: Instant(nanoseconds: 9), body: .tcpReceived(ConnectionID(2), bytes: [1], peerTimestamp: 3))
        #expect(received.poison(message: message) == .timers(4, received.body))
        let again = Record(index: LogIndex(5), time: Instant(nanoseconds: 9), body: .quarantined(.timers(4, received.body)))
        #expect(again.poison(message: message) == .timers(4, received.body))
        #expect(again.body.carried == received.body)
        let fault = Record(index: LogIndex(5), time: Instant(nanoseconds: 9), body: .quarantined(.other))
        #expect(fault.poison(message: message) == .timers(4, .time))
        var writer = ByteWriter()
        writer.record(Record(index: .zero, time: .zero, body: .quarantined(.timers(1, .quarantined(.other)))))
        let bytes = writer.bytes
        #expect(throws: DecodeError.self) { try Self.record(bytes) }
    }

    static func record(_ bytes: [UInt8]) throws -> Record {
        var reader = ByteReader(bytes.span.bytes)
        return try reader.record(index: .zero)
    }

    @Test("A gasp has its size, its index lies where the signal handler writes it, and every flip shows")
    func gasp() throws {
        let gasp = DyingGasp(
            controller: .b, epoch: Epoch(3), index: .zero, bootNonce: 4, token: .init(high: 5, low: 6),
            frame: .init(interface: InterfaceID(7), length: 1500, header: [UInt8](repeating: 8, count: 64)))
        var bytes = gasp.encoded()
        #expect(bytes.count == DyingGasp.size)
        bytes[DyingGasp.indexOffset + 7] = 9
        let decoded = try DyingGasp(decoding: bytes.span.bytes)
        #expect(decoded.index == LogIndex(9) && decoded.session == nil)
        let guilty = DyingGasp(
            controller: .b, epoch: Epoch(3), index: .zero, session: 7, bootNonce: 4, token: .init(high: 5, low: 6))
        let heard = try DyingGasp(decoding: guilty.encoded().span.bytes)
        #expect(heard == guilty && heard.session == 7 && heard.index == .zero)
        for bit in 0..<(bytes.count * 8) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            if let other = try? DyingGasp(decoding: flipped.span.bytes) { #expect(other != decoded) }
        }
        for count in 0..<DyingGasp.size {
            let part = Array(bytes[..<count])
            #expect(throws: DecodeError.self) { try DyingGasp(decoding: part.span.bytes) }
        }
    }

    static let key = PairKey(high: 1, low: 2)
    static let beat = Beat(
        pairID: 1, controller: .a, bootNonce: 3, sequence: 4, echoNonce: 5, echo: 6, state: .active, epoch: Epoch(2),
        greatest: Epoch(9), flags: [.countsTwin, .asks], routerTime: Instant(nanoseconds: 10),
        clock: Instant(nanoseconds: 11), health: Health(), ports: [1, 2, 3])

    @Test("A beat comes back as it left: as a datagram, as a frame, tagged and padded")
    func beats() throws {
        let sent = Self.beat
        let datagram = sent.datagram(key: Self.key)
        let isDatagram = Beat.isDatagram(datagram.span.bytes)
        #expect(isDatagram)
        #expect(datagram.count <= Beat.datagramMaximum)
        let again = try Beat(decoding: datagram.span.bytes, keys: [PairKey(high: 7, low: 7), Self.key])
        #expect(again == sent)
        for vlan: UInt16 in [0, 5, 4094] {
            var frame = sent.frame(key: Self.key, vlan: vlan)
            if vlan != 0 { #expect(Array(frame[12..<16]) == [0x81, 0, 0xe0 | UInt8(vlan >> 8), UInt8(vlan & 255)]) }
            frame += [0, 0, 0]
            let isOne = Beat.isOne(frame.span.bytes)
            #expect(isOne)
            let decoded = try Beat(frame: frame.span.bytes, keys: [Self.key])
            #expect(decoded == sent)
        }
    }

    @Test("A beat under another key, cut short, or with any bit flipped, is refused")
    func forgedBeats() {
        let datagram = Self.beat.datagram(key: Self.key)
        #expect(throws: DecodeError.self) { try Beat(decoding: datagram.span.bytes, keys: [PairKey(high: 1, low: 3)]) }
        #expect(throws: DecodeError.self) { try Beat(decoding: datagram.span.bytes, keys: []) }
        for bit in 0..<(datagram.count * 8) {
            var flipped = datagram
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: DecodeError.self) { try Beat(decoding: flipped.span.bytes, keys: [Self.key]) }
        }
        for count in datagram.indices {
            let part = Array(datagram[..<count])
            #expect(throws: DecodeError.self) { try Beat(decoding: part.span.bytes, keys: [Self.key]) }
        }
    }

    @Test("An epoch after which no other could be counted is refused, from whoever holds the key")
    func absurdEpoch() {
        for value in [UInt64.max, UInt64.max - 1, Beat.epochMaximum.value + 1] {
            var beat = Self.beat
            beat.greatest = Epoch(value)
            let datagram = beat.datagram(key: Self.key)
            #expect(throws: DecodeError.self) { try Beat(decoding: datagram.span.bytes, keys: [Self.key]) }
        }
    }

    @Test("Both derive one key from what each has drawn, and it is neither's share")
    func pairKeys() {
        let a = PairKey(high: 1, low: 2), b = PairKey(high: 3, low: 4)
        let key = PairKey(a: a, b: b, pairID: 5)
        #expect(key == PairKey(a: a, b: b, pairID: 5))
        #expect(key != PairKey(a: b, b: a, pairID: 5))
        #expect(key != PairKey(a: a, b: b, pairID: 6))
        #expect(key.fingerprint != a.fingerprint)
    }

    @Test("A twin that does not fit is refused with the reason")
    func refusals() {
        func refusal(_ change: (inout Hello) -> Void) -> String? {
            var twin = Self.hello
            twin.controller = .b
            twin.identity = 99
            change(&twin)
            return Self.hello.refusal(of: twin)?.description
        }
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.controller = .a }?.hasPrefix("both controllers are configured as A") == true)
        #expect(refusal { $0.pairID = 6 }?.hasPrefix("it belongs to another pair") == true)
        #expect(refusal { $0.routerName = "r2" }?.hasPrefix("it is router 'r2', this is 'r1'") == true)
        #expect(refusal { $0.protocolVersion = 9 } == "it speaks channel protocol 9, this controller 3")
        #expect(refusal { $0.arbiter = .leasefile }?.hasPrefix("its arbiter is leasefile, this controller's link") == true)
        #expect(refusal { $0.identity = Self.hello.identity }?.hasPrefix("it has the identity of this controller") == true)
        #expect(
            refusal { $0.schemas = $0.schemas.with(.init("records", 7...8)) }
                == "the two releases cannot be combined: of 'records' controller A speaks schema 4 and controller B speaks schema "
                + "7 to 8: update controller A, which has the older release")
    }

    @Test("Two maps that cannot be combined are refused in the same words on both sides, whatever they differ in")
    func schemaRefusals() {
        func refusal(_ ours: [SchemaMap.Part], _ theirs: [SchemaMap.Part]) -> String? {
            var a = Self.hello, b = Self.hello
            b.controller = .b
            b.identity = 99
            a.schemas = SchemaMap(ours)
            b.schemas = SchemaMap(theirs)
            let words = a.refusal(of: b)?.description
            #expect(b.refusal(of: a)?.description == words)
            return words
        }
        let start = "the two releases cannot be combined: "
        let older = ": update controller A, which has the older release"
        #expect(refusal([.init("x", 1...2)], [.init("x", 2...3)]) == nil)
        #expect(refusal([], [.init("x", 0...3)]) == nil)
        #expect(refusal([], [.init("x", 1...3)]) == start + "controller A does not know 'x'" + older)
        #expect(
            refusal([.init("x", 1...2)], [.init("x", 3...4)])
                == start + "of 'x' controller A speaks schema 1 to 2 and controller B speaks schema 3 to 4" + older)
        #expect(
            refusal([.init("x", 1...1)], [])
                == start + "controller B does not know 'x': update controller B, which has the older release")
        #expect(
            refusal([.init("x", 1...1), .init("y", 2...2)], [.init("x", 2...2), .init("y", 1...1)])
                == start
                + "of 'x' controller A speaks schema 1 and controller B speaks schema 2; of 'y' controller A speaks schema 2 "
                + "and controller B speaks schema 1: neither release follows the other: install the same one on both controllers")
        #expect(
            refusal([], (1...5).map { .init("p\($0)", 1...1) })
                == start
                + "controller A does not know 'p1'; controller A does not know 'p2'; controller A does not know 'p3'; and 2 "
                + "more" + older)
    }

    @Test("DESIGN §6: two releases agree on the older schema")
    func schema() {
        var newer = Self.hello
        newer.controller = .b
        newer.identity = 99
        newer.schemas = newer.schemas.with(.init("records", 1...9)).with(.init("tunnels", 0...1))
        #expect(Self.hello.refusal(of: newer) == nil)
        // A part that can be left out is not used with a twin that does not know it.
        for agreed in [Self.hello.schemas.agreed(with: newer.schemas), newer.schemas.agreed(with: Self.hello.schemas)] {
            #expect(agreed.parts.map(\.name) == ["channel", "records"])
            #expect(agreed["records"] == RecordSchema.current && agreed["tunnels"] == 0)
        }
    }

    @Test("The kinds of a record schema are fixed: one that it does not have is no record of it")
    func recordKinds() throws {
        var writer = ByteWriter()
        writer.record(Record(index: LogIndex(1), time: .zero, body: .time))
        var reader = ByteReader(writer.bytes.span.bytes)
        #expect(try reader.record(index: LogIndex(1)).body == .time)
        var older = ByteReader(writer.bytes.span.bytes)
        do {
            _ = try older.record(index: LogIndex(1), schema: 1)
            Issue.record("a kind that the schema does not have was read")
        } catch {
            #expect(error == DecodeError("record kind", at: 0, .unsupported))
        }
        // Who adds a kind begins a schema: these are those of 2 and of 3.
        let kinds = (UInt8.min...UInt8.max).compactMap { RecordSchema.Kind(rawValue: $0) }
        #expect(kinds.filter { $0.since <= 2 }.map(\.rawValue) == Array(0...15))
        #expect(kinds.filter { $0.since == 3 }.map(\.rawValue) == [16])
        #expect(kinds.allSatisfy { $0.since <= RecordSchema.current })
    }

    @Test("DESIGN §6: each part of what passes between two releases has a schema of its own, and both sides refuse alike")
    func schemaParts() throws {
        let old = SchemaMap([.init("records", oldest: 1, newest: 2), .init("snapshot", oldest: 2, newest: 3)])
        let new = SchemaMap([.init("snapshot", oldest: 4, newest: 5), .init("records", oldest: 2, newest: 4)])
        #expect(old.differences(new).map(\.ours.name) == ["snapshot"])
        #expect(new.differences(old).map(\.theirs.newest) == [3])
        var hello = Self.hello
        hello.schemas = new
        let octets = ChannelMessage.hello(hello).encoded()
        var receiver = ChannelReceiver()
        receiver.append(octets)
        #expect(try receiver.next() == .hello(hello))
        // The greatest map, with the longest name of a router, is still an introduction.
        hello.routerName = String(repeating: "r", count: 255)
        hello.schemas = SchemaMap(
            (10..<(10 + SchemaMap.partsMaximum)).map { .init("\($0)" + String(repeating: "n", count: 30), 1...9) })
        receiver = ChannelReceiver()
        receiver.append(ChannelMessage.hello(hello).encoded())
        #expect(try receiver.next() == .hello(hello))
    }

    @Test("FIG. 10A: of two hellos exactly one goes first, whatever they say")
    func election() {
        var random = RandomNumbers(seed: 1)
        for _ in 0..<1000 {
            var a = Self.hello, b = Self.hello
            b.controller = .b
            a.wasActive = random.chance(1, in: 2)
            b.wasActive = random.chance(1, in: 2)
            a.epoch = Epoch(UInt64(random.number(in: 0...2)))
            b.epoch = Epoch(UInt64(random.number(in: 0...2)))
            for keyPath in [\Hello.configuration.revision, \Hello.configuration.epoch.value, \Hello.configuration.index.value] {
                a[keyPath: keyPath] = UInt64(random.number(in: 0...1))
                b[keyPath: keyPath] = UInt64(random.number(in: 0...1))
            }
            a.isPreferred = random.chance(1, in: 2)
            b.isPreferred = random.chance(1, in: 2)
            a.state = random.chance(1, in: 2) ? .standby : .booting
            b.state = random.chance(1, in: 2) ? .standby : .booting
            #expect(a.goesFirst(before: b) != b.goesFirst(before: a))
        }
    }

    @Test("FIG. 10A: who holds the configuration that was in force last goes first, not who counted further or spoke last")
    func lastInForce() {
        var a = Self.hello, b = Self.hello
        b.controller = .b
        // Both went on alone. A was edited often, B later.
        a.configuration = ConfigurationPosition(epoch: Epoch(4), index: LogIndex(900), revision: 12)
        b.configuration = ConfigurationPosition(epoch: Epoch(5), index: LogIndex(2), revision: 9)
        a.isPreferred = true
        a.wasActive = true
        b.wasActive = false
        #expect(b.goesFirst(before: a))
        // In one epoch the later record counts.
        a.configuration = ConfigurationPosition(epoch: Epoch(5), index: LogIndex(3), revision: 8)
        #expect(a.goesFirst(before: b))
        // Who lost its own has nothing to begin with, whatever its mastership was.
        a.configuration = .none
        a.hasLostConfiguration = true
        #expect(b.goesFirst(before: a))
        // The router file of a first start was never in force.
        a.configuration = ConfigurationPosition(revision: 30)
        #expect(b.goesFirst(before: a))
    }

    @Test func `a hello of the channel's first version is read as far as it goes, and refused by its version`() throws {
        var old = Self.hello
        old.protocolVersion = 1
        old.configuration = ConfigurationPosition(revision: 4)
        old.hasLostConfiguration = false
        // Without the length, and without what was added since.
        let octets = Array(ChannelMessage.hello(old).encoded().dropFirst(4).dropLast(17))
        guard case .hello(let read) = try ChannelMessage(decoding: octets.span.bytes) else {
            Issue.record("it is a hello")
            return
        }
        #expect(read == old)
        #expect(Self.hello.refusal(of: read) == .protocolVersion(ours: 3, theirs: 1))
    }
}
