import CHost
import Foundation
import Identity
import Machine
import Records
import Redundancy
import Synchronization
import Testing
import Witness

@testable import Host
@testable import WitnessServer

/// A witness and controllers in one process, over TLS on the loopback.
@Suite(.timeLimit(.minutes(2))) struct WitnessClientTests {
    static let secret = Array("a secret of the pair r1".utf8)
    /// Long: a machine that is busy with other tests must not make it run out.
    static let lease = Duration.seconds(20)

    final class Setup: Sendable {
        let store = TemporaryFile()
        let server: Mutex<WitnessServer?> = Mutex(nil)
        let port: Int
        let notes = Mutex<[String]>([])

        init(secret: [UInt8] = WitnessClientTests.secret, leaseMaximum: Duration = WitnessClientTests.lease) throws {
            // A file that is there, so that there is no silence.
            _ = try WitnessStore.open(path: store.path, names: [])
            let server = try WitnessServer(Self.settings(store.path, 0, secret, leaseMaximum)) { _ in }
            port = server.port
            self.server.withLock { $0 = server }
        }
        deinit { server.withLock { $0 }?.stop() }

        static func settings(_ path: String, _ port: Int, _ secret: [UInt8], _ leaseMaximum: Duration) -> WitnessServer.Settings {
            .init(
                address: "127.0.0.1", port: port, store: path,
                pairs: [
                    .init(name: "r1", secrets: [secret]), .init(name: "r2", secrets: [Array("a secret of the pair r2".utf8)]),
                ],
                leaseMaximum: leaseMaximum)
        }
        func stop() {
            let old = server.withLock { server in
                defer { server = nil }
                return server
            }
            old?.stop()
        }
        /// The same witness again, in a new process, so to say.
        func start(leaseMaximum: Duration = WitnessClientTests.lease) throws {
            let new = try WitnessServer(Self.settings(store.path, port, WitnessClientTests.secret, leaseMaximum)) { note in
                if case .warning(let text) = note { self.notes.withLock { $0.append(text) } }
            }
            server.withLock { $0 = new }
        }
        func probe(
            _ controller: ControllerID, pair: String = "r1", secret: [UInt8] = WitnessClientTests.secret, session: UInt64? = nil,
            lease: Duration = WitnessClientTests.lease
        ) throws -> VoteProbe {
            let settings = WitnessLink.Settings(
                address: "127.0.0.1", port: port,
                identity: Renewable(try WitnessIdentity.Client(secrets: [secret], pair: pair, controller: "\(controller)")),
                session: session ?? UInt64(controller.rawValue) + 1, lease: lease)
            return try VoteProbe { sink in try VoteThread { WitnessLink(settings, sink, $0) } }
        }
    }

    @Test func `A controller acquires, renews and hands over; its lease ends before the witness thinks`() async throws {
        let setup = try Setup()
        let a = try setup.probe(.a), b = try setup.probe(.b)
        let asked = monotonicNow()
        let granted = await a.ask(.acquire(atLeast: Epoch(6)))
        #expect(granted.epoch == Epoch(7) && granted.mayResume == false)
        #expect(granted.leaseUntil! > asked)
        #expect(granted.leaseUntil! < monotonicNow() + Self.lease)
        #expect(await b.ask(.acquire(atLeast: .zero)).isDenied)
        #expect(await a.ask(.renew(Epoch(7))).isRenewed)
        #expect(await a.ask(.setTwinEligible(Epoch(7), true)) == .twinEligibility(Epoch(7), true))
        #expect(await a.ask(.release(Epoch(7))) == .released(Epoch(7)))
        #expect(await a.ask(.acquire(atLeast: Epoch(7))).isDenied)
        let over = await b.ask(.acquire(atLeast: Epoch(7)))
        #expect(over.epoch == Epoch(8) && over.mayResume == true)
        #expect(await a.ask(.renew(Epoch(7))) == .lost(Epoch(8)))
        await a.stop()
        await b.stop()
    }

    @Test func `A twin whose copy is current takes over from a live holder at once`() async throws {
        let setup = try Setup()
        let a = try setup.probe(.a), b = try setup.probe(.b)
        // Both have begun before one calls the other current.
        #expect(await b.ask(.renew(.zero)).isLost)
        _ = await a.ask(.acquire(atLeast: .zero))
        _ = await a.ask(.setTwinEligible(Epoch(1), true))
        let over = await b.ask(.acquire(atLeast: Epoch(1), isResuming: true))
        #expect(over.epoch == Epoch(2) && over.mayResume == true)
        await a.stop()
        await b.stop()
    }

    @Test func `Requests that are asked at once are answered once each and in order`() async throws {
        let setup = try Setup()
        let a = try setup.probe(.a)
        await a.send(.acquire(atLeast: .zero))
        for number in 0..<50 { await a.send(number % 2 == 0 ? .renew(Epoch(1)) : .setTwinEligible(Epoch(1), true)) }
        #expect(await a.next().isGranted)
        for number in 0..<50 {
            let answer = await a.next()
            #expect(number % 2 == 0 ? answer.isRenewed : answer == .twinEligibility(Epoch(1), true))
        }
        await a.stop()
    }

    @Test func `A witness that starts again with its file knows what it had acknowledged`() async throws {
        let setup = try Setup()
        let a = try setup.probe(.a), b = try setup.probe(.b)
        #expect(await b.ask(.renew(.zero)).isLost)
        _ = await a.ask(.acquire(atLeast: Epoch(4)))
        _ = await a.ask(.setTwinEligible(Epoch(5), true))
        setup.stop()
        // Under way while there is no witness.
        await a.send(.renew(Epoch(5)))
        try setup.start()
        var renewed = await a.next()
        if renewed.isUnavailable { renewed = try await a.ask(.renew(Epoch(5)), until: { $0.isRenewed }).last }
        #expect(renewed.isRenewed)
        let over = try await b.ask(.acquire(atLeast: .zero, isResuming: true)) { $0.isGranted }.last
        #expect(over.epoch == Epoch(6) && over.mayResume == true)
        #expect(setup.notes.withLock { $0 }.isEmpty)
        await a.stop()
        await b.stop()
    }

    @Test func `A witness that lost its file grants nothing for a while, but goes on with the holder that renews`() async throws {
        let setup = try Setup(leaseMaximum: .seconds(2))
        let a = try setup.probe(.a, lease: .seconds(2)), b = try setup.probe(.b, lease: .seconds(2))
        #expect(await b.ask(.renew(.zero)).isLost)
        _ = await a.ask(.acquire(atLeast: Epoch(4)))
        _ = await a.ask(.setTwinEligible(Epoch(5), true))
        setup.stop()
        unlink(setup.store.path)
        try setup.start(leaseMaximum: .seconds(2))
        #expect(setup.notes.withLock { $0 }.first?.contains("nothing is granted for") == true)
        let renewed = try await a.ask(.renew(Epoch(5))) { !$0.isUnavailable }
        #expect(renewed.last.isRenewed)
        let denied = try await b.ask(.acquire(atLeast: .zero)) { !$0.isUnavailable }
        guard case .denied(.a, Epoch(5), _) = denied.last else { return _ = Issue.record("\(denied.last)") }
        // After its silence it says again what the holder had told it.
        let over = try await b.ask(.acquire(atLeast: .zero)) { $0.isGranted }.last
        #expect(over.epoch == Epoch(6))
        #expect(await b.events.contains { $0.message.contains("has lost its memory or is new") })
        await a.stop()
        await b.stop()
    }

    @Test func `Without a witness every request is answered as unavailable, with the reason`() async throws {
        let setup = try Setup()
        setup.stop()
        let a = try setup.probe(.a, lease: .milliseconds(100))
        for _ in 0..<3 {
            guard case .unasked(let reason) = await a.ask(.release(Epoch(1))) else {
                return _ = Issue.record("there is no witness")
            }
            #expect(reason.contains("no answer within 50 ms"))
        }
        let event = try #require(await a.events.first)
        #expect(event.severity == .alarm && event.message.contains("witness 127.0.0.1 port \(setup.port) cannot be asked"))
        await a.stop()
    }

    @Test func `Who holds another key, or another pair's, is not heard`() async throws {
        let setup = try Setup()
        let stranger = try setup.probe(.a, secret: Array("not the secret of r1".utf8), lease: .milliseconds(200))
        #expect(await stranger.ask(.acquire(atLeast: .zero)).isUnavailable)
        #expect(await stranger.events.contains { $0.message.contains("another key for this pair, or does not know this pair") })
        let unknown = try setup.probe(.a, pair: "r3", lease: .milliseconds(200))
        #expect(await unknown.ask(.acquire(atLeast: .zero)).isUnavailable)
        let other = try setup.probe(.a, pair: "r2", lease: .milliseconds(200))
        #expect(await other.ask(.acquire(atLeast: .zero)).isUnavailable, "r1's secret is not r2's")
        await stranger.stop()
        await unknown.stop()
        await other.stop()
    }

    @Test func `A lease above the witness's longest is refused with the number`() async throws {
        let setup = try Setup(leaseMaximum: .seconds(2))
        let a = try setup.probe(.a, lease: .seconds(3))
        _ = await a.ask(.acquire(atLeast: .zero))
        #expect(await a.events.contains { $0.message.contains("longer than this witness's longest, 2000 ms (lease-maximum)") })
        await a.stop()
    }

    @Test func `Strangers who say nothing do not keep a controller out`() async throws {
        let setup = try Setup()
        var open: [Int32] = []
        for _ in 0..<(WitnessServer.strangersMaximum * 3) {
            let fd = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            _ = Sockets.connect(fd, .v4(.init(raw: 0x7f00_0001)), UInt16(setup.port))
            open.append(fd)
        }
        let a = try setup.probe(.a)
        #expect(try await a.ask(.acquire(atLeast: .zero)) { $0.isGranted }.last.isGranted)
        for fd in open { close(fd) }
        await a.stop()
    }

    @Test func `The time of a round trip`() async throws {
        let setup = try Setup()
        let a = try setup.probe(.a)
        _ = await a.ask(.acquire(atLeast: .zero))
        var renewals: [Duration] = [], changes: [Duration] = []
        for number in 0..<200 {
            var began = monotonicNow()
            _ = await a.ask(.renew(Epoch(1)))
            renewals.append(monotonicNow() - began)
            began = monotonicNow()
            _ = await a.ask(.setTwinEligible(Epoch(1), number % 2 == 0))
            changes.append(monotonicNow() - began)
        }
        // For whoever reads the log; nothing depends on it.
        func median(_ times: [Duration]) -> Duration { times.sorted()[times.count / 2] }
        print("witness on the loopback, medians: renewal \(median(renewals)), change with flush \(median(changes))")
        await a.stop()
    }
}

@Suite struct WitnessStoreTests {
    func record(_ epoch: UInt64) -> WitnessRecord {
        var record = WitnessRecord()
        record.word.epoch = Epoch(epoch)
        record.word.holder = .a
        return record
    }

    @Test func `What was written is there after a restart, also with other pairs beside it`() throws {
        let file = TemporaryFile()
        do {
            let (store, found) = try WitnessStore.open(path: file.path, names: ["r1", "r2"])
            #expect(found.isNew && found.records == [nil, nil])
            for epoch in 1...5 { try store.write([(pair: 0, record: record(UInt64(epoch)))]) }
            try store.write([(pair: 1, record: record(70))])
        }
        let (_, found) = try WitnessStore.open(path: file.path, names: ["r3", "r2", "r1"])
        #expect(!found.isNew)
        #expect(found.records == [nil, record(70), record(5)])
        #expect(found.isDamaged == [false, false, false])
    }

    @Test func `Two witnesses do not share a file, and a child that was forked in between does not keep it`() throws {
        let file = TemporaryFile()
        let (store, _) = try WitnessStore.open(path: file.path, names: ["r1"])
        let child = try ForkedChild()
        #expect(throws: WitnessStoreError.self) { try WitnessStore.open(path: file.path, names: ["r1"]) }
        store.close()
        #expect(throws: Never.self) { try WitnessStore.open(path: file.path, names: ["r1"]) }
        _ = consume child
    }

    @Test func `Of a write that was cut off, the version before is there, and it is known that something is missing`() throws {
        let file = TemporaryFile()
        do {
            let (store, _) = try WitnessStore.open(path: file.path, names: ["r1"])
            for epoch in 1...2 { try store.write([(pair: 0, record: record(UInt64(epoch)))]) }
        }
        var octets = try Data(contentsOf: URL(fileURLWithPath: file.path))
        // The second version is in the first place of the two: sequence 2 is even.
        for at in WitnessRecord.size + 100..<WitnessRecord.size + 300 { octets[at] = 0xff }
        try octets.write(to: URL(fileURLWithPath: file.path))
        let (_, found) = try WitnessStore.open(path: file.path, names: ["r1"])
        #expect(found.records == [record(1)])
        #expect(found.isDamaged == [true])
    }

    @Test func `Two witnesses do not share a file, and a file of something else is refused`() throws {
        let file = TemporaryFile()
        let (store, _) = try WitnessStore.open(path: file.path, names: ["r1"])
        let shared = #expect(throws: WitnessStoreError.self) { try WitnessStore.open(path: file.path, names: ["r1"]) }
        #expect(shared?.description.contains("another witness uses this file") == true)
        withExtendedLifetime(store) {}
        let other = TemporaryFile()
        try Data("hello".utf8).write(to: URL(fileURLWithPath: other.path))
        let refused = #expect(throws: WitnessStoreError.self) { try WitnessStore.open(path: other.path, names: ["r1"]) }
        #expect(refused?.description.contains("not a witness's file") == true)
    }
}
