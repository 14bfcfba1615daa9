import Foundation
import Glibc
import Machine
import Records
import Redundancy
import Testing

@testable import Host

/// The lease file is removed or replaced under running controllers, in every order in which they can notice.
@Suite struct LeaseRepairTests {
    let file = TemporaryFile()
    let lease = Duration.milliseconds(50)
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000) }
    func open(_ controller: ControllerID, at now: Int64 = 0) throws -> LeaseFile {
        try LeaseFile(path: file.path, controller: controller, lease: lease, at: at(now))
    }

    /// A holds mastership since 2000 ms (the file was new at 0), B's copy is current.
    func pair() throws -> (a: LeaseFile, b: LeaseFile) {
        let a = try open(.a), b = try open(.b)
        #expect(a.answer(.acquire(atLeast: .zero), at: at(2000)) == .granted(Epoch(1), leaseUntil: at(2050), mayResume: false))
        _ = a.answer(.setTwinEligible(Epoch(1), true), at: at(2000))
        return (a, b)
    }
    func isSame(_ a: LeaseFile, _ b: LeaseFile) -> Bool {
        a.page.identity == b.page.identity && a.page.identity == LeasePage.identity(at: file.path)
    }
    /// A file of another pair's life at the path: B holds an epoch in it, and nobody lives.
    func replaceByAnother(epoch: UInt64) throws {
        let other = TemporaryFile()
        let stranger = try LeaseFile(path: other.path, controller: .b, lease: lease, quarantine: .zero, at: at(0))
        _ = stranger.answer(.acquire(atLeast: Epoch(epoch - 1)), at: at(0))
        #expect(rename(other.path, file.path) == 0)
    }

    @Test func `A file that was made anew grants nothing for a second`() throws {
        let a = try open(.a)
        #expect(a.answer(.acquire(atLeast: .zero), at: at(999)) == .denied(holder: nil, .zero, retryAt: at(1000)))
        #expect(a.answer(.acquire(atLeast: .zero), at: at(1000)) == .granted(Epoch(1), leaseUntil: at(1050), mayResume: false))
    }

    @Test func `Nothing is looked at more often than every 100 ms, and a file in its place is no event`() throws {
        let (a, b) = try pair()
        #expect(a.nextLook == at(2100))
        unlink(file.path)
        a.look(at: at(2099))
        #expect(LeasePage.identity(at: file.path) == nil)
        a.look(at: at(2100))
        #expect(LeasePage.identity(at: file.path) == a.page.identity)
        #expect(b.events.isEmpty)
    }

    @Test func `The holder of a removed file puts a successor in place, and its twin follows`() throws {
        let (a, b) = try pair()
        unlink(file.path)
        a.look(at: at(2100))
        #expect(a.events.count == 1 && a.events[0].severity == .alarm)
        #expect(a.events.first?.message.contains("was removed under running controllers") == true)
        #expect(a.mastership.holder == .a && a.mastership.epoch == Epoch(1))
        #expect(a.answer(.renew(Epoch(1)), at: at(2101)) == .renewed(Epoch(1), leaseUntil: at(2151)))
        b.look(at: at(2101))
        #expect(isSame(a, b))
        #expect(b.mastership == a.mastership && b.mastership[isCurrent: .b])
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(2150)) == .denied(holder: .a, Epoch(1), retryAt: at(2152)))
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(2152)) == .granted(Epoch(2), leaseUntil: at(2202), mayResume: true))
        #expect(!a.maySpeak(at: at(2152)))
    }

    @Test func `A twin that notices first leaves the repair to the holder, then follows it`() throws {
        let (a, b) = try pair()
        unlink(file.path)
        b.look(at: at(2100))
        #expect(LeasePage.identity(at: file.path) == nil)
        a.look(at: at(2150))
        b.look(at: at(2200))
        #expect(isSame(a, b))
        #expect(b.events.map(\.severity) == [.notice])
    }

    @Test func `If the holder does not act its twin puts the successor in place, and the holder finds it before it speaks`()
        throws
    {
        let (a, b) = try pair()
        unlink(file.path)
        b.look(at: at(2100))
        #expect(a.answer(.renew(Epoch(1)), at: at(2090)) == .renewed(Epoch(1), leaseUntil: at(2140)))
        b.look(at: at(2500))
        #expect(LeasePage.identity(at: file.path) == b.page.identity)
        #expect(!a.maySpeak(at: at(2120)), "what it holds is in the successor")
        #expect(a.answer(.renew(Epoch(1)), at: at(2510)) == .renewed(Epoch(1), leaseUntil: at(2560)))
        #expect(isSame(a, b))
        #expect(a.maySpeak(at: at(2511)))
    }

    @Test func `A twin that starts again on a removed file is granted nothing before the holder has put its own back`() throws {
        var (a, b): (LeaseFile, LeaseFile?) = try pair()
        unlink(file.path)
        b = nil
        b = try open(.b, at: 2090)
        #expect(b!.mastership.epoch == .zero)
        #expect(b!.answer(.acquire(atLeast: Epoch(1)), at: at(2091)) == .denied(holder: nil, .zero, retryAt: at(3090)))
        a.look(at: at(2100))
        #expect(a.events.first?.message.contains("was replaced under running controllers") == true)
        #expect(a.answer(.renew(Epoch(1)), at: at(2100)) == .renewed(Epoch(1), leaseUntil: at(2150)))
        #expect(b!.answer(.acquire(atLeast: Epoch(1)), at: at(2110)) == .denied(holder: .a, Epoch(1), retryAt: at(2151)))
        #expect(isSame(a, b!))
        // It is a new process that knows nothing, until the holder says otherwise.
        #expect(!a.mastership[isCurrent: .b])
        #expect(a.answer(.setTwinEligible(Epoch(1), true), at: at(2120)) == .twinEligibility(Epoch(1), true))
        #expect(b!.mastership[isCurrent: .b])
    }

    @Test func `A twin takes over from a holder that is killed before anybody noticed, and its file counts`() throws {
        var (a, b): (LeaseFile?, LeaseFile) = try pair()
        unlink(file.path)
        a = nil
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(2010)) == .granted(Epoch(2), leaseUntil: at(2060), mayResume: true))
        a = try open(.a, at: 2020)
        b.look(at: at(2110))
        #expect(b.answer(.renew(Epoch(2)), at: at(2110)) == .renewed(Epoch(2), leaseUntil: at(2160)))
        #expect(a!.answer(.acquire(atLeast: Epoch(2)), at: at(2120)) == .denied(holder: .b, Epoch(2), retryAt: at(2161)))
        #expect(isSame(a!, b))
    }

    @Test func `A twin takes over from a holder that is killed after it put the successor in place`() throws {
        var (a, b): (LeaseFile?, LeaseFile) = try pair()
        unlink(file.path)
        a!.look(at: at(2100))
        a = nil
        // It has not looked yet: the old file says so.
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(2101)) == .granted(Epoch(2), leaseUntil: at(2151), mayResume: true))
        #expect(b.page.identity == LeasePage.identity(at: file.path))
    }

    @Test func `A holder that slept until another file granted mastership to the twin has lost it`() throws {
        var (a, b): (LeaseFile, LeaseFile?) = try pair()
        unlink(file.path)
        b = nil
        b = try open(.b, at: 2050)
        #expect(
            b!.answer(.acquire(atLeast: Epoch(1)), at: at(3050)) == .granted(Epoch(2), leaseUntil: at(3100), mayResume: false))
        #expect(!a.maySpeak(at: at(3051)))
        #expect(a.answer(.renew(Epoch(1)), at: at(3051)) == .lost(Epoch(2)))
        #expect(isSame(a, b!))
        #expect(a.events.map(\.severity) == [.alarm])
        #expect(!a.maySpeak(at: at(3052)) && b!.maySpeak(at: at(3052)))
    }

    @Test func `Nonsense at the path is replaced`() throws {
        let (a, b) = try pair()
        unlink(file.path)
        try Data("what is this?".utf8).write(to: URL(fileURLWithPath: file.path))
        b.look(at: at(2100))
        a.look(at: at(2100))
        b.look(at: at(2200))
        #expect(isSame(a, b))
        #expect(a.mastership.holder == .a)
    }

    @Test func `A copy of the file is not the file`() throws {
        let (a, b) = try pair()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
        unlink(file.path)
        try bytes.write(to: URL(fileURLWithPath: file.path))
        a.look(at: at(2100))
        b.look(at: at(2100))
        #expect(isSame(a, b))
        #expect(a.events.map(\.severity) == [.alarm])
    }

    @Test(arguments: [UInt64(1), 500])
    func `A file of another life does not unseat a running holder`(epoch: UInt64) throws {
        let (a, b) = try pair()
        try replaceByAnother(epoch: epoch)
        b.look(at: at(2100))
        a.look(at: at(2100))
        b.look(at: at(2600))
        #expect(isSame(a, b))
        #expect(a.mastership.holder == .a && a.mastership.epoch == Epoch(1))
        #expect(a.answer(.renew(Epoch(1)), at: at(2600)) == .renewed(Epoch(1), leaseUntil: at(2650)))
    }

    @Test func `Without a holder the greater epoch wins, and both end at one file`() throws {
        let (a, b) = try pair()
        _ = a.answer(.release(Epoch(1)), at: at(2000))
        try replaceByAnother(epoch: 500)
        a.look(at: at(2100))
        b.look(at: at(2100))
        #expect(isSame(a, b))
        #expect(a.mastership.epoch == Epoch(500))
        #expect(!a.mastership[isCurrent: .a] && !a.mastership[isCurrent: .b], "it knows another life's copies")
    }

    @Test func `A file can be removed again and again`() throws {
        let (a, b) = try pair()
        for round in 1...20 {
            let now = 2000 + Int64(round) * 200
            unlink(file.path)
            let order = round % 2 == 0 ? [a, b] : [b, a]
            for one in order { one.look(at: at(now)) }
            #expect(a.answer(.renew(Epoch(1)), at: at(now)) == .renewed(Epoch(1), leaseUntil: at(now + 50)))
            b.look(at: at(now + 100))
            #expect(isSame(a, b), "round \(round)")
            #expect(a.page.generation == UInt64(round))
        }
        #expect(a.mastership[isCurrent: .b])
    }

    @Test func `Who moved over lets the other one follow, whatever child of another one holds the removed file's descriptor`()
        throws
    {
        let (a, b) = try pair()
        // Between taking the right to move and giving it back with the file: as a fork on another thread can come.
        #expect(a.page.lockMoving())
        let child = try ForkedChild()
        unlink(file.path)
        a.look(at: at(2100))
        b.look(at: at(2200))
        #expect(isSame(a, b))
        _ = consume child
    }

    @Test func `Who finds another process under its own name stops asking`() throws {
        let a = try open(.a)
        _ = a.answer(.acquire(atLeast: .zero), at: at(2000))
        unlink(file.path)
        let second = try open(.a, at: 2001)
        a.look(at: at(2100))
        let answer = second.answer(.acquire(atLeast: .zero), at: at(2110))
        #expect(second.fault?.contains("another process already runs as controller A") == true)
        guard case .unavailable = answer else { return _ = Issue.record("\(answer)") }
        #expect(a.answer(.renew(Epoch(1)), at: at(2110)) == .renewed(Epoch(1), leaseUntil: at(2160)))
    }

    @Test func `Where nothing can be put in place the holder goes on, and says so once in ten seconds`() throws {
        let folder = NSTemporaryDirectory() + "/lockstep-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let a = try LeaseFile(path: folder + "/lease", controller: .a, lease: lease, quarantine: .zero, at: at(0))
        _ = a.answer(.acquire(atLeast: .zero), at: at(0))
        try FileManager.default.removeItem(atPath: folder)
        for now in stride(from: Int64(100), through: 1000, by: 50) { a.look(at: at(now)) }
        #expect(a.events.map(\.severity) == [.alarm])
        #expect(a.answer(.renew(Epoch(1)), at: at(1001)) == .renewed(Epoch(1), leaseUntil: at(1051)))
        #expect(a.maySpeak(at: at(1002)))
    }

    @Test func `Whoever dies in the middle of a repair leaves one that its twin finishes`() throws {
        var (a, b): (LeaseFile?, LeaseFile) = try pair()
        // A marked the old file and was killed before the successor got its name.
        #expect(a!.page.supersede(a!.page[LeasePage.stateWord]))
        unlink(file.path)
        #expect(!a!.maySpeak(at: at(2001)))
        a = nil
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(2002)) == .unavailable("\(file.path) is being replaced"))
        b.look(at: at(2102))
        b.look(at: at(2502))
        #expect(b.page.identity == LeasePage.identity(at: file.path))
        #expect(b.answer(.acquire(atLeast: Epoch(1)), at: at(2503)) == .granted(Epoch(2), leaseUntil: at(2553), mayResume: true))
    }
}
