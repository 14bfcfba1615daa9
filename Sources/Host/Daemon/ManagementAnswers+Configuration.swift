import Configuration
import Datastore
import Engine
import Foundation
import Management
import Records

extension ManagementAnswers {
    private func read(_ text: ConfigurationText) -> ConfigurationResult<RouterConfiguration> {
        RouterText.read(Array(text.text.utf8), file: text.file)
    }

    private static func problems(_ list: [ConfigurationProblem]) -> [ConfigurationProblemView] {
        list.map {
            ConfigurationProblemView(
                isError: $0.severity == .error, file: $0.file, line: $0.line, column: $0.column, path: $0.path,
                message: $0.message)
        }
    }

    func check(_ text: ConfigurationText) -> ConfigurationCheckView {
        let result = read(text)
        var problems = Self.problems(result.problems)
        if let value = result.value, value.interfaces.isEmpty {
            problems.append(Self.withoutInterfaces(text, isError: false))
        }
        return ConfigurationCheckView(isAccepted: result.value != nil, problems: problems)
    }

    /// An empty file, or a command before a pipe that failed, is a text like any other, and would take the router away.
    private static func withoutInterfaces(_ text: ConfigurationText, isError: Bool) -> ConfigurationProblemView {
        let what = text.text.allSatisfy(\.isWhitespace) ? "it is empty" : "it has no interfaces"
        return ConfigurationProblemView(
            isError: isError, file: text.file, line: 0, column: 0, path: "interfaces",
            message: "\(what): in the place of a configuration that has some it would take the whole router away, with every "
                + "session. If that is meant: config apply --force")
    }

    private func inForce() async throws -> (revision: UInt64, configuration: RouterConfiguration) {
        try await engine.inspect { engine in (engine.revision, engine.configuration) }
    }

    func apply(_ apply: ConfigurationApply, author: String) async throws -> ConfigurationApplyView {
        guard apply.configuration.text.utf8.count <= ManagementProtocol.configurationLengthMaximum else {
            throw ManagementFailure(.badRequest, "a configuration has at most 4 MiB")
        }
        let result = read(apply.configuration)
        var problems = Self.problems(result.problems)
        guard let value = result.value else {
            return ConfigurationApplyView(revision: nil, isAccepted: false, problems: problems, difference: [])
        }
        for interface in value.interfaces where !interface.isLoopback && file.device(for: interface.name) == nil {
            problems.append(ConfigurationProblemView(
                isError: false, file: apply.configuration.file, line: 0, column: 0, path: "interfaces",
                message: "'\(interface.name)' has no device in the file of controller \(file.controller.letter)"))
        }
        if value.interfaces.isEmpty, !(apply.force ?? false) {
            let (revision, before) = try await inForce()
            if !before.interfaces.isEmpty {
                problems.append(Self.withoutInterfaces(apply.configuration, isError: true))
                return ConfigurationApplyView(revision: nil, isAccepted: false, problems: problems, difference: [], base: revision)
            }
        }
        return try await desk.make(
            ConfigurationDesk.Change(
                configuration: value, text: apply.configuration.text, comment: apply.comment, author: author,
                base: apply.base, isDryRun: apply.dryRun),
            problems: problems)
    }

    func rollback(_ rollback: ConfigurationRollback, author: String) async throws -> ConfigurationApplyView {
        guard let stored = await datastore.configuration(rollback.revision) else {
            throw ManagementFailure(.notFound, "there is no revision \(rollback.revision)")
        }
        guard let value = try? RouterConfiguration(decoding: stored.octets) else {
            throw ManagementFailure(.failed, "revision \(rollback.revision) cannot be read by this release")
        }
        let comment = rollback.comment.isEmpty ? "back to revision \(rollback.revision)" : rollback.comment
        return try await desk.make(ConfigurationDesk.Change(
            configuration: value, text: stored.text, comment: comment, author: author, base: rollback.base))
    }

    func configuration(_ query: ConfigurationQuery) async throws -> ConfigurationView {
        let (revision, value) = try await inForce()
        let number = query.revision ?? revision
        // A number may stand twice; of these the one in force is meant.
        let marked = await datastore.configuration()
        if let stored = number == revision && marked?.number == number ? marked : await datastore.configuration(number) {
            return ConfigurationView(
                revision: number, time: stored.time.date, author: stored.author, comment: stored.comment,
                text: query.canonical ? RouterFile.text(stored.octets) : stored.text)
        }
        guard query.revision == nil || query.revision == revision else {
            throw ManagementFailure(.notFound, "there is no revision \(number)")
        }
        return ConfigurationView(revision: revision, text: revision == 0 ? "" : RouterText.text(of: value))
    }

    func history(_ limit: Int) async -> ConfigurationHistoryView {
        let revision = (try? await inForce())?.revision ?? 0
        let marked = await datastore.configuration()?.position
        return ConfigurationHistoryView(revisions: await datastore.history(limit: max(1, min(limit, 1000))).map {
            ConfigurationHistoryView.Revision(
                revision: $0.number, time: $0.time.date, author: $0.author, comment: $0.comment,
                isInForce: $0.number == revision && (marked?.revision != revision || marked == $0.position))
        })
    }

    func difference(_ query: ConfigurationDiffQuery) async throws -> ConfigurationDiffView {
        let to = try await configuration(ConfigurationQuery(revision: query.to, canonical: true))
        let older = query.from ?? (to.revision > 0 ? to.revision - 1 : 0)
        guard older > 0 else { return ConfigurationDiffView(from: 0, to: to.revision, lines: TextDifference.lines(from: "", to: to.text)) }
        let from = try await configuration(ConfigurationQuery(revision: older, canonical: true))
        return ConfigurationDiffView(
            from: older, to: to.revision, lines: TextDifference.lines(from: from.text, to: to.text))
    }
}
