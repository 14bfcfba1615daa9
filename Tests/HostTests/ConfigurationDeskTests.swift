import Configuration
import Datastore
import Engine
import Foundation
import Management
import Records
import Synchronization
import Testing
import Wire

@testable import Host

/// A router that takes its time: whoever asks it twice without a desk gets the same answer twice.
private final class SlowRouter: ConfigurationRouter {
    struct State: Sendable {
        var revision: UInt64 = 5
        var configuration = routerConfiguration(1)
        var committed: [UInt64] = []
        var isChanging = false
        var overlaps = 0
        var refusal: String?
        var consequences: [ConfigurationConsequence] = []
    }
    let state = Mutex(State())
    let datastore: Datastore
    let storage: ConfigurationStorage

    init(_ datastore: Datastore, storage: ConfigurationStorage = ConfigurationStorage()) {
        self.datastore = datastore
        self.storage = storage
    }
    private func pause() async { for _ in 0..<20 { await Task.yield() } }

    func inForce() async throws -> (revision: UInt64, configuration: RouterConfiguration) {
        await pause()
        return state.withLock { ($0.revision, $0.configuration) }
    }
    func consequences(of configuration: RouterConfiguration) async throws -> [ConfigurationConsequence] {
        state.withLock { $0.consequences }
    }
    func newestRevision() async throws -> UInt64 {
        await pause()
        return state.withLock { $0.revision }
    }
    func commit(_ revision: ConfigurationRevision) async throws -> ConfigurationStorage {
        if let refusal = state.withLock({ $0.refusal }) { throw ManagementFailure(.refused, refusal) }
        state.withLock {
            if $0.isChanging { $0.overlaps += 1 }
            $0.isChanging = true
        }
        await pause()
        _ = await datastore.store(.configurationInForce(revision))
        let decoded = try RouterConfiguration(decoding: revision.octets)
        state.withLock {
            $0.revision = revision.number
            $0.configuration = decoded
            $0.committed.append(revision.number)
            $0.isChanging = false
        }
        return storage
    }
    func isRedundant() async -> Bool { true }
}

private func routerConfiguration(_ last: Int) -> RouterConfiguration {
    RouterConfiguration(interfaces: [
        InterfaceConfiguration(
            name: "lan", virtualMAC: MACAddress("02:00:00:00:00:01")!,
            addresses: [.init(address: IPAddress("192.0.2.\(last)")!, prefixLength: 24)])
    ])
}

@Suite struct ConfigurationDeskTests {
    private let directory: String
    private let datastore: Datastore

    init() async throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("lockstep-desk-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        datastore = await Datastore.open(path: directory + "/store.sqlite", controller: .a) { _ in }
        _ = await datastore.store(
            .configuration(
                ConfigurationRevision(
                    number: 5, time: WallTime(microseconds: 1), author: "eve", comment: "", text: "",
                    octets: try routerConfiguration(1).encoded())))
    }

    private func desk(_ router: SlowRouter, isAlone: Bool = false) -> ConfigurationDesk {
        ConfigurationDesk(router: router, datastore: datastore, controller: .a, isAlone: isAlone)
    }
    private func change(_ last: Int, _ author: String = "ada", base: UInt64? = nil, isDryRun: Bool = false)
        -> ConfigurationDesk.Change
    {
        ConfigurationDesk.Change(
            configuration: routerConfiguration(last), text: "text \(last)", comment: "c\(last)", author: author, base: base,
            isDryRun: isDryRun)
    }

    @Test func `of four changes at once each has a number of its own, one after the other`() async throws {
        let router = SlowRouter(datastore)
        let desk = desk(router)
        let numbers = try await withThrowingTaskGroup(of: UInt64?.self) { group in
            for last in 10..<14 { group.addTask { try await desk.make(change(last)).revision } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(numbers.compactMap { $0 }.sorted() == [6, 7, 8, 9])
        #expect(router.state.withLock { $0.committed } == [6, 7, 8, 9])
        #expect(router.state.withLock { $0.overlaps } == 0)
    }

    @Test func `of four changes of one revision one is made, and the others learn by whom`() async throws {
        let router = SlowRouter(datastore)
        let desk = desk(router)
        let views = try await withThrowingTaskGroup(of: ConfigurationApplyView.self) { group in
            for last in 10..<14 { group.addTask { try await desk.make(change(last, "author \(last)", base: 5)) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let made = views.filter { $0.revision != nil }
        #expect(made.count == 1)
        #expect(router.state.withLock { $0.committed } == [6])
        let inForce = router.state.withLock { $0.configuration }
        for view in views where view.revision == nil {
            let conflict = try #require(view.conflict)
            #expect(!view.isAccepted)
            #expect(conflict.base == 5)
            #expect(conflict.revision == 6)
            #expect(conflict.changes.map(\.revision) == [6])
            #expect(conflict.changes.first?.author.hasPrefix("author") == true)
            #expect(
                conflict.difference
                    == TextDifference.lines(
                        from: RouterText.text(of: routerConfiguration(1)), to: RouterText.text(of: inForce)))
        }
    }

    @Test func `who changes nothing is no loser`() async throws {
        let desk = desk(SlowRouter(datastore))
        #expect(try await desk.make(change(10, base: 5)).revision == 6)
        let same = try await desk.make(change(10, base: 5))
        #expect(same.isAccepted)
        #expect(same.revision == nil)
        #expect(same.conflict == nil)
    }

    @Test func `what a change does to what runs is said before it is made`() async throws {
        let router = SlowRouter(datastore)
        router.state.withLock { $0.consequences = [ConfigurationConsequence(path: "bgp.neighbors", message: "its session ends")] }
        let view = try await desk(router).make(change(10, isDryRun: true))
        #expect(view.problems.map(\.description) == ["in force: warning: bgp.neighbors: its session ends"])
        #expect(view.isAccepted)
        let nothing = try await desk(router).make(change(1, isDryRun: true))
        #expect(nothing.problems.isEmpty, "nothing changes")
    }

    @Test func `a dry run says against which revision it is`() async throws {
        let router = SlowRouter(datastore)
        let view = try await desk(router).make(change(10, isDryRun: true))
        #expect(view.base == 5)
        #expect(view.revision == nil)
        #expect(!view.difference.isEmpty)
        #expect(router.state.withLock { $0.committed }.isEmpty)
    }

    @Test func `a number that was tried is not given again, and a change that failed lets the next one in`() async throws {
        let router = SlowRouter(datastore)
        let desk = desk(router)
        router.state.withLock { $0.refusal = "a switchover is under way" }
        for _ in 0..<3 { await #expect(throws: ManagementFailure.self) { try await desk.make(change(10)) } }
        router.state.withLock { $0.refusal = nil }
        #expect(try await desk.make(change(11)).revision == 9)
        // The datastore may know a greater number than the engine: one that was made alone, before.
        _ = await datastore.store(
            .pastConfiguration(
                ConfigurationRevision(
                    number: 20, time: WallTime(microseconds: 1), author: "", comment: "", text: "", octets: [1])))
        #expect(try await desk.make(change(12)).revision == 21)
    }

    @Test func `on both controllers is said only when both disks have it`() async throws {
        func view(_ storage: ConfigurationStorage, isAlone: Bool = false) async throws -> ConfigurationApplyView {
            try await desk(SlowRouter(datastore, storage: storage), isAlone: isAlone).make(change(20))
        }
        func outcome(_ view: ConfigurationApplyView) -> ConfigurationApplyView.Outcome {
            view.outcome(command: ("config apply", "r"))
        }

        let both = try await view(ConfigurationStorage())
        #expect(both.isMirrored)
        #expect(outcome(both).lines.last?.hasSuffix("is in force, on both controllers") == true)
        #expect(outcome(both).status == .done)

        let full = try await view(ConfigurationStorage(here: .failed("database or disk is full")))
        #expect(!full.isMirrored)
        #expect(outcome(full).status == .failed)
        #expect(outcome(full).complaints.contains("controller a has not stored it: database or disk is full"))
        #expect(!outcome(full).lines.joined().contains("both"))

        let refused = try await view(ConfigurationStorage(twin: .failed("database or disk is full")))
        #expect(outcome(refused).status == .failed)
        #expect(outcome(refused).complaints == ["controller b has not stored it: database or disk is full"])

        let away = try await view(ConfigurationStorage(twin: .noTwin))
        #expect(!away.isMirrored)
        #expect(outcome(away).status == .done, "the survivor of a pair must be configurable by a script")
        #expect(outcome(away).complaints.first?.hasPrefix("warning: controller b has not stored it") == true)

        let nowhere = try await view(ConfigurationStorage(here: .failed("read-only"), twin: .noTwin))
        #expect(outcome(nowhere).status == .failed)
        #expect(outcome(nowhere).complaints.last?.contains("in memory only") == true)

        let alone = try await view(ConfigurationStorage(twin: .noTwin), isAlone: true)
        #expect(outcome(alone).complaints == [])
        #expect(alone.storage?.count == 1)
    }
}

@Suite struct OpenQuestionsTests {
    @Test func `an answer is taken once, early or late, and one that does not come is replaced`() async {
        let questions = OpenQuestions<Int>()
        #expect(!questions.settle(1, 1), "nobody asked")
        questions.open(1)
        #expect(questions.settle(1, 10))
        #expect(!questions.settle(1, 11))
        #expect(await questions.answer(to: 1, within: .seconds(60), otherwise: 0) == 10)

        questions.open(2)
        async let late = questions.answer(to: 2, within: .seconds(60), otherwise: 0)
        questions.settle(2, 20)
        #expect(await late == 20)

        questions.open(3)
        #expect(await questions.answer(to: 3, within: .zero, otherwise: 30) == 30)
        #expect(!questions.settle(3, 31))

        questions.open(4)
        async let lost = questions.answer(to: 4, within: .seconds(60), otherwise: 0)
        questions.settleAll(40)
        #expect(await lost == 40)
    }
}

@Suite struct FirstConfigurationTests {
    private func stored(_ octets: [UInt8]) -> ConfigurationRevision {
        ConfigurationRevision(
            number: 9, epoch: 5, index: 7, time: WallTime(microseconds: 1), author: "", comment: "", text: "", octets: octets)
    }
    private func choose(_ stored: StoredConfiguration, accepts: Bool = false, file: String? = "r.yaml") throws
        -> FirstConfiguration
    {
        try FirstConfiguration.choose(stored, newest: 9, routerFile: file, acceptsFile: accepts) { _ in
            RouterFile.Loaded(configuration: routerConfiguration(1), text: "", octets: try routerConfiguration(1).encoded())
        }
    }

    @Test func `what was in force is used, with its position`() throws {
        let first = try choose(.inForce(stored(try routerConfiguration(2).encoded())))
        #expect(first.initial?.revision == 9)
        #expect(first.position == ConfigurationPosition(epoch: Epoch(5), index: LogIndex(7), revision: 9))
        #expect(!first.isLost)
    }

    @Test func `the router file is used at a first start only`() throws {
        let first = try FirstConfiguration.choose(.never, newest: 0, routerFile: "r.yaml", acceptsFile: false) { _ in
            RouterFile.Loaded(configuration: routerConfiguration(1), text: "", octets: [])
        }
        #expect(first.initial?.revision == 1)
        #expect(first.position == .none)
        for lost in [StoredConfiguration.lost("it was damaged"), .inForce(stored([0xff, 0xff]))] {
            let first = try choose(lost)
            #expect(first.isLost)
            #expect(first.initial == nil)
            #expect(try choose(lost, file: nil).isLost)
            // An operator's word, and a number after all that may have been.
            let accepted = try choose(lost, accepts: true)
            #expect(!accepted.isLost)
            #expect(accepted.initial?.revision == 10)
        }
        #expect(try choose(.lost("gone"), accepts: true, file: nil).isLost)
        #expect(try choose(.never, file: nil).initial == nil)
    }

    @Test func `the advice names what is wrong and what to type`() {
        let advice = FirstConfiguration.advice("it was damaged", isAlone: false, routerFile: "/etc/r.yaml")
        #expect(advice.contains("it was damaged"))
        #expect(advice.contains("lockstepctl config apply /etc/r.yaml"))
        #expect(advice.contains("--accept-first-configuration"))
    }
}
