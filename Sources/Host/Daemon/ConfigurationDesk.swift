import Configuration
import Controller
import Datastore
import Engine
import Foundation
import Management
import Records

/// Where a configuration that is in force is stored: the answer to an operator who wants to rely on it.
struct ConfigurationStorage: Sendable, Equatable {
    /// Why one of the datastores does not have it.
    enum Absence: Sendable, Equatable {
        /// Nobody is there to store it; one that joins is given it.
        case noTwin
        /// The datastore is there and could not.
        case failed(String)
    }
    /// `nil`: on this controller's disk.
    var here: Absence?
    /// `nil`: on the twin's disk, as the twin said.
    var twin: Absence?
}

/// What the desk needs of the running router.
protocol ConfigurationRouter: Sendable {
    /// What the engine has in force.
    func inForce() async throws -> (revision: UInt64, configuration: RouterConfiguration)
    /// What the configuration would do to what runs now, and its author may not have meant.
    func consequences(of configuration: RouterConfiguration) async throws -> [ConfigurationConsequence]
    /// The greatest number that the controller knows, its own or its twin's.
    func newestRevision() async throws -> UInt64
    /// Brings a configuration into force and returns when it is, and when it is known where it is stored.
    func commit(_ revision: ConfigurationRevision) async throws -> ConfigurationStorage
    /// Whether the twin runs in lock step.
    func isRedundant() async -> Bool
}

/// Where configurations are changed: one change at a time, each judged against the revision that is in force when its turn
/// comes. Two operators who began with the same revision do not undo each other: the second is told what the first did.
actor ConfigurationDesk {
    /// A change that somebody wants.
    struct Change: Sendable {
        var configuration: RouterConfiguration
        var text: String
        var comment: String
        var author: String
        /// The revision that its author had before him; `nil` if he did not say.
        var base: UInt64?
        var isDryRun = false
    }
    /// So many may wait: more are no operators but a script that runs away.
    static let waitingMaximum = 16

    private let router: any ConfigurationRouter
    private let datastore: Datastore
    private let controller: ControllerID
    private let isAlone: Bool
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    /// A number that was tried is not given again, whatever became of it.
    private var lastNumber: UInt64 = 0

    init(router: any ConfigurationRouter, datastore: Datastore, controller: ControllerID, isAlone: Bool) {
        self.router = router
        self.datastore = datastore
        self.controller = controller
        self.isAlone = isAlone
    }

    /// Makes the change when its turn comes.
    func make(_ change: Change, problems: [ConfigurationProblemView] = []) async throws -> ConfigurationApplyView {
        guard waiting.count < Self.waitingMaximum else {
            throw ManagementFailure(
                .refused, "\(waiting.count) other changes of the configuration wait already; say it again later")
        }
        if isBusy { await withCheckedContinuation { waiting.append($0) } }
        isBusy = true
        defer {
            // Whoever is next gets the desk without anybody in between.
            if waiting.isEmpty { isBusy = false } else { waiting.removeFirst().resume() }
        }
        return try await perform(change, problems)
    }

    private func perform(
        _ change: Change, _ problems: [ConfigurationProblemView]
    ) async throws -> ConfigurationApplyView {
        let (revision, before) = try await router.inForce()
        let textBefore = RouterText.text(of: before)
        var view = ConfigurationApplyView(
            revision: nil, isAccepted: true, problems: problems,
            difference: Secrets.hide(
                in: TextDifference.lines(from: textBefore, to: RouterText.text(of: change.configuration))), base: revision)
        guard change.configuration != before || revision == 0 else { return view }
        if let base = change.base, base != revision {
            view.isAccepted = false
            view.conflict = await conflict(between: base, and: revision, textBefore)
            return view
        }
        view.problems += try await router.consequences(of: change.configuration).map {
            ConfigurationProblemView(isError: false, file: "in force", line: 0, column: 0, path: $0.path, message: $0.message)
        }
        if change.isDryRun { return view }
        let stored = await datastore.history(limit: 1).first?.number ?? 0
        let number = max(revision, stored, try await router.newestRevision(), lastNumber) + 1
        lastNumber = number
        let storage = try await router.commit(
            ConfigurationRevision(
                number: number, time: .now, author: change.author, comment: change.comment, text: change.text,
                octets: try change.configuration.encoded()))
        view.revision = number
        view.storage = describe(storage)
        view.isMirrored = !isAlone && storage.here == nil && storage.twin == nil
        if !isAlone { view.isRedundant = await router.isRedundant() }
        return view
    }

    private func describe(_ storage: ConfigurationStorage) -> [ConfigurationStorageView] {
        func view(_ id: ControllerID, _ absence: ConfigurationStorage.Absence?) -> ConfigurationStorageView {
            switch absence {
            case nil: ConfigurationStorageView(controller: id.letter, isStored: true)
            case .noTwin:
                ConfigurationStorageView(
                    controller: id.letter, isStored: false, isExpected: false,
                    reason: "it is not connected and gets it when it joins")
            case .failed(let reason): ConfigurationStorageView(controller: id.letter, isStored: false, reason: reason)
            }
        }
        return [view(controller, storage.here)] + (isAlone ? [] : [view(controller.other, storage.twin)])
    }

    /// What others did since the revision that this author began with.
    private func conflict(
        between base: UInt64, and revision: UInt64, _ textNow: String
    ) async -> ConfigurationConflictView {
        let changes = await datastore.history(limit: 1000).filter { $0.number > base && $0.number <= revision }
        let octets = base == 0 ? nil : await datastore.configuration(base)?.octets
        let textThen = base == 0 ? "" : octets.map(RouterFile.text)
        return ConfigurationConflictView(
            base: base, revision: revision,
            changes: changes.reversed().map {
                ConfigurationHistoryView.Revision(
                    revision: $0.number, time: $0.time.date, author: $0.author, comment: $0.comment,
                    isInForce: $0.number == revision)
            },
            difference: textThen.map { Secrets.hide(in: TextDifference.lines(from: $0, to: textNow)) })
    }
}

/// The router of this process.
struct LiveConfigurationRouter: ConfigurationRouter {
    let edge: Edge
    let engine: EngineThread
    let clerk: Clerk

    func inForce() async throws -> (revision: UInt64, configuration: RouterConfiguration) {
        try await engine.inspect { engine in (engine.revision, engine.configuration) }
    }
    func consequences(of configuration: RouterConfiguration) async throws -> [ConfigurationConsequence] {
        try await engine.inspect { engine in engine.consequences(of: configuration) }
    }
    func newestRevision() async throws -> UInt64 {
        try await edge.look { controller, _ in controller.newestRevision }
    }
    func commit(_ revision: ConfigurationRevision) async throws -> ConfigurationStorage {
        try await clerk.commit(revision)
    }
    func isRedundant() async -> Bool {
        (try? await edge.look { controller, now in controller.status(at: now).isRedundant }) ?? false
    }
}
