import Foundation
import Machine
import Records
import Redundancy
import Testing

@testable import Host

/// Against real etcd: Debian's `etcd-server`, which Scripts/install brings.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .disabled(if: EtcdFixture.isMissing, "there is no etcd on this machine; run Scripts/install"))
struct EtcdVoteTests {
    /// A holds mastership, B has begun and its copy is current.
    func pair(_ fixture: EtcdFixture) async throws -> (a: VoteProbe, b: VoteProbe, epoch: Epoch) {
        let a = try fixture.probe(.a)
        let granted = try await a.ask(.acquire(atLeast: .zero)) { $0.isGranted }.last
        let epoch = try #require(granted.epoch)
        let b = try fixture.probe(.b)
        #expect(try await b.ask(.renew(.zero)) { !$0.isUnavailable }.last.isLost)
        #expect(try await a.ask(.setTwinEligible(epoch, true)) { !$0.isUnavailable }.last == .twinEligibility(epoch, true))
        return (a, b, epoch)
    }

    @Test func `A controller acquires, renews and hands over; its lease counts from the sending`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        let renewed = try await a.ask(.renew(epoch)) { $0.isRenewed }.last
        #expect(renewed.leaseUntil! < monotonicNow() + .seconds(2))
        #expect(try await a.ask(.release(epoch)) { !$0.isUnavailable }.last == .released(epoch))
        let over = try await b.ask(.acquire(atLeast: epoch, isResuming: true)) { !$0.isUnavailable }.last
        #expect(over.mayResume == true)
        #expect(over.epoch! > epoch)
        #expect(await a.ask(.renew(epoch)) == .lost(over.epoch!))
        // The old active follows with a whole copy.
        let back = await a.ask(.acquire(atLeast: over.epoch!, isResuming: true))
        #expect(back.mayResume == true)
        await a.stop()
        await b.stop()
    }

    @Test func `A twin whose copy is current takes over from a live holder at once`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        let over = try await b.ask(.acquire(atLeast: epoch, isResuming: true)) { !$0.isUnavailable }
        #expect(over.last.mayResume == true)
        #expect(over.last.epoch! > epoch)
        #expect(await a.ask(.setTwinEligible(epoch, false)).isLost)
        await a.stop()
        await b.stop()
    }

    @Test func `A stale twin waits until the holder's key is gone`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        #expect(await a.ask(.setTwinEligible(epoch, false)) == .twinEligibility(epoch, false))
        #expect(await b.ask(.acquire(atLeast: epoch)).isDenied)
        await a.stop()
        let over = try await b.ask(.acquire(atLeast: epoch)) { $0.isGranted }
        #expect(over.last.mayResume == false)
        #expect(over.before.allSatisfy { $0.isDenied })
        await b.stop()
    }

    @Test func `A new process knows nothing, and takes the place of the one before`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        await b.stop()
        let next = try fixture.probe(.b, session: 77)
        #expect(try await next.ask(.acquire(atLeast: epoch)) { !$0.isUnavailable }.last.isDenied)
        await a.stop()
        await next.stop()
    }

    @Test func `A word that somebody deleted is put back by its holder, and nobody is granted anything meanwhile`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        try await fixture.delete("/lockstep/r1/word")
        #expect(await b.ask(.acquire(atLeast: .zero)).isDenied)
        #expect(await a.ask(.renew(epoch)).isRenewed)
        #expect(await a.events.contains { $0.severity == .alarm && $0.message.contains("was gone; it is put back") })
        // With what was confirmed of the twin.
        #expect(await b.ask(.acquire(atLeast: .zero, isResuming: true)).mayResume == true)
        await a.stop()
        await b.stop()
    }

    @Test func `A cluster that wants certificates is used with ours, and says what is wrong with none or another's`() async throws
    {
        let authority = try TestAuthority(folder: NSTemporaryDirectory() + "/lockstep-etcd-tls-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: authority.folder) }
        let fixture = try EtcdFixture(count: 1, authority: authority)
        let files = try authority.issue("controller")
        var cluster = EtcdCluster(endpoints: fixture.endpoints)
        cluster.authority = authority.authorityFile
        cluster.certificate = files.certificate
        cluster.privateKey = files.key
        let a = try fixture.probe(.a, reached: cluster)
        let epoch = try #require(try await a.ask(.acquire(atLeast: .zero)) { $0.isGranted }.last.epoch)
        #expect(try await a.ask(.renew(epoch)) { !$0.isUnavailable }.last.isRenewed)

        cluster.certificate = nil
        cluster.privateKey = nil
        let bare = try fixture.probe(.b, reached: cluster)
        #expect(await bare.ask(.acquire(atLeast: .zero)).isUnavailable, "without a certificate nothing is answered")
        await bare.stop()

        let other = try TestAuthority(folder: authority.folder + "/other", name: "another authority")
        cluster.authority = other.authorityFile
        cluster.certificate = files.certificate
        cluster.privateKey = files.key
        let doubting = try fixture.probe(.b, reached: cluster)
        let refusal = await doubting.ask(.acquire(atLeast: .zero))
        #expect("\(refusal)".contains("its certificate is of no authority that we trust"), "\(refusal)")
        await doubting.stop()
        #expect(try await a.ask(.release(epoch)) { !$0.isUnavailable }.last == .released(epoch))
        await a.stop()
    }

    @Test func `A cluster with users is used by one who has the right, also after its tokens have become void`() async throws {
        let fixture = try EtcdFixture(count: 1)
        _ = try await fixture.leader()
        func post(_ path: String, _ body: [String: Any]) async throws {
            let answer = try await EtcdFixture.post(fixture.endpoints[0] + "/v3/auth/" + path, body)
            #expect(answer["error"] == nil, "\(path): \(answer)")
        }
        func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
        try await post("role/add", ["name": "root"])
        try await post("user/add", ["name": "root", "password": "boss"])
        try await post("user/grant", ["user": "root", "role": "root"])
        // What an operator would grant: the prefix, to read and to write.
        try await post("role/add", ["name": "pairs"])
        try await post(
            "role/grant",
            [
                "name": "pairs",
                "perm": ["permType": "READWRITE", "key": base64("/lockstep/"), "range_end": base64("/lockstep0")],
            ])
        try await post("user/add", ["name": "lockstep", "password": "right"])
        try await post("user/grant", ["user": "lockstep", "role": "pairs"])
        try await post("enable", [:])

        var cluster = EtcdCluster(endpoints: fixture.endpoints)
        cluster.user = "lockstep"
        cluster.password = "right"
        let a = try fixture.probe(.a, reached: cluster)
        let epoch = try #require(try await a.ask(.acquire(atLeast: .zero)) { $0.isGranted }.last.epoch)
        #expect(try await a.ask(.renew(epoch)) { !$0.isUnavailable }.last.isRenewed)

        cluster.password = "wrong"
        let b = try fixture.probe(.b, reached: cluster)
        let refusal = await b.ask(.acquire(atLeast: .zero))
        #expect(refusal.isUnavailable && "\(refusal)".contains("password"), "\(refusal)")
        await b.stop()
        let nobody = try fixture.probe(.b)
        #expect(await nobody.ask(.acquire(atLeast: .zero)).isUnavailable)
        await nobody.stop()

        // A member keeps its simple tokens in memory.
        fixture.signal(0, SIGKILL)
        try fixture.start(0)
        #expect(try await a.ask(.renew(epoch)) { !$0.isUnavailable }.last.isRenewed)
        await a.stop()
    }

    @Test func `Epochs grow even if every key was deleted`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        await a.stop()
        for key in ["word", "holder-A"] { try await fixture.delete("/lockstep/r1/\(key)") }
        let over = try await b.ask(.acquire(atLeast: .zero)) { !$0.isUnavailable }.last
        #expect(over.epoch! > epoch)
        #expect(over.mayResume == false)
        await b.stop()
    }

    @Test func `The death of the leader of three costs no epoch`() async throws {
        let fixture = try EtcdFixture(count: 3)
        let (a, b, epoch) = try await pair(fixture)
        fixture.signal(try await fixture.leader(), SIGKILL)
        let renewed = try await a.ask(.renew(epoch)) { $0.isRenewed }
        #expect(renewed.before.allSatisfy { $0.isUnavailable })
        _ = try await fixture.leader()
        let over = try await b.ask(.acquire(atLeast: epoch, isResuming: true)) { $0.isGranted }
        #expect(over.last.mayResume == true)
        #expect(over.before.allSatisfy { $0.isUnavailable })
        await a.stop()
        await b.stop()
    }

    @Test func `A member that is frozen is left for another one`() async throws {
        let fixture = try EtcdFixture(count: 3)
        let (a, b, epoch) = try await pair(fixture)
        // The client asks the first one that answered.
        fixture.signal(0, SIGSTOP)
        let renewed = try await a.ask(.renew(epoch)) { $0.isRenewed }
        #expect(renewed.before.allSatisfy { $0.isUnavailable })
        fixture.signal(0, SIGCONT)
        #expect(try await a.ask(.renew(epoch)) { !$0.isUnavailable }.last.isRenewed)
        await a.stop()
        await b.stop()
    }

    @Test func `Without a majority nothing is granted or renewed, and every request has its answer`() async throws {
        let fixture = try EtcdFixture(count: 3)
        let (a, b, epoch) = try await pair(fixture)
        for number in 1...2 { fixture.signal(number, SIGSTOP) }
        // What was under way may still have come through.
        _ = await a.ask(.renew(epoch))
        for _ in 0..<3 {
            let answer = await a.ask(.renew(epoch))
            #expect(answer.isUnavailable, "\(answer)")
        }
        for number in 1...2 { fixture.signal(number, SIGCONT) }
        #expect(try await a.ask(.renew(epoch)) { !$0.isUnavailable }.last.isRenewed)
        await a.stop()
        await b.stop()
    }

    @Test func `Another cluster at the same address is not believed`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let ports = fixture.members.map(\.client)
        let (a, b, epoch) = try await pair(fixture)
        fixture.stop()
        let other = try EtcdFixture(count: 1, ports: ports)
        _ = try await other.leader()
        var isSaid = false
        while !isSaid {
            #expect(await a.ask(.renew(epoch)).isUnavailable)
            isSaid = await a.events.contains { $0.severity == .alarm && $0.message.contains("belongs to another cluster") }
        }
        await a.stop()
        await b.stop()
    }

    @Test func `The time of a round trip`() async throws {
        let fixture = try EtcdFixture(count: 1)
        let (a, b, epoch) = try await pair(fixture)
        var renewals: [Duration] = [], changes: [Duration] = []
        for number in 0..<50 {
            var began = monotonicNow()
            _ = await a.ask(.renew(epoch))
            renewals.append(monotonicNow() - began)
            began = monotonicNow()
            _ = await a.ask(.setTwinEligible(epoch, number % 2 == 0))
            changes.append(monotonicNow() - began)
        }
        // For whoever reads the log; nothing depends on it.
        func median(_ times: [Duration]) -> Duration { times.sorted()[times.count / 2] }
        print("one etcd on the loopback, medians: renewal \(median(renewals)), change \(median(changes))")
        await a.stop()
        await b.stop()
    }
}
