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

    func check(_ text: ConfigurationText) async -> ConfigurationCheckView {
        var text = text
        text.text = await revealed(text.text)
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
        var apply = apply
        apply.configuration.text = await revealed(apply.configuration.text)
        let result = read(apply.configuration)
        var problems = Self.problems(result.problems)
        guard let value = result.value else {
            return ConfigurationApplyView(revision: nil, isAccepted: false, problems: problems, difference: [])
        }
        for interface in value.interfaces where !interface.isLoopback && file.device(for: interface.name) == nil {
            problems.append(
                ConfigurationProblemView(
                    isError: false, file: apply.configuration.file, line: 0, column: 0, path: "interfaces",
                    message: "'\(interface.name)' has no device in the file of controller \(file.controller.letter)"))
        }
        if value.interfaces.isEmpty, !(apply.force ?? false) {
            let (revision, before) = try await inForce()
            if !before.interfaces.isEmpty {
                problems.append(Self.withoutInterfaces(apply.configuration, isError: true))
                return ConfigurationApplyView(
                    revision: nil, isAccepted: false, problems: problems, difference: [], base: revision)
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
        return try await desk.make(
            ConfigurationDesk.Change(
                configuration: value, text: stored.text, comment: comment, author: author, base: rollback.base))
    }

    func configuration(_ query: ConfigurationQuery) async throws -> ConfigurationView {
        var (view, isCanonical) = try await plain(query)
        if query.secrets ?? false { return view }
        let source = Secrets.Source(revision: view.revision, isCanonical: isCanonical)
        if let hidden = Secrets.hide(in: view.text, of: source) {
            view.text = hidden
        } else {
            // Written in a way in which secrets cannot be told from the rest: the canonical text says the same.
            (view, _) = try await plain(ConfigurationQuery(revision: view.revision, canonical: true))
            let source = Secrets.Source(revision: view.revision, isCanonical: true)
            view.text = Secrets.hide(in: view.text, of: source) ?? "# it cannot be shown without its secrets\n"
        }
        return view
    }

    /// The text with the secrets that it takes over from texts that were shown without them.
    private func revealed(_ text: String) async -> String {
        var values: [Secrets.Source: [String]] = [:]
        for source in Secrets.sources(of: text).prefix(Self.sourcesMaximum) {
            let query = ConfigurationQuery(revision: source.revision, canonical: source.isCanonical)
            guard let found = try? await plain(query), found.isCanonical == source.isCanonical else { continue }
            values[source] = Secrets.values(in: found.view.text)
        }
        return Secrets.reveal(in: text, values)
    }
    /// Revisions that one text takes secrets from.
    private static let sourcesMaximum = 16

    /// With its secrets.
    private func plain(_ query: ConfigurationQuery) async throws -> (view: ConfigurationView, isCanonical: Bool) {
        let (revision, value) = try await inForce()
        let number = query.revision ?? revision
        // A number may stand twice; of these the one in force is meant.
        let marked = await datastore.configuration()
        if let stored = number == revision && marked?.number == number ? marked : await datastore.configuration(number) {
            let view = ConfigurationView(
                revision: number, time: stored.time.date, author: stored.author, comment: stored.comment,
                text: query.canonical ? RouterFile.text(stored.octets) : stored.text)
            return (view, query.canonical)
        }
        guard query.revision == nil || query.revision == revision else {
            throw ManagementFailure(.notFound, "there is no revision \(number)")
        }
        return (ConfigurationView(revision: revision, text: revision == 0 ? "" : RouterText.text(of: value)), true)
    }

    func history(_ limit: Int) async -> ConfigurationHistoryView {
        let revision = (try? await inForce())?.revision ?? 0
        let marked = await datastore.configuration()?.position
        return ConfigurationHistoryView(
            revisions: await datastore.history(limit: max(1, min(limit, 1000))).map {
                ConfigurationHistoryView.Revision(
                    revision: $0.number, time: $0.time.date, author: $0.author, comment: $0.comment,
                    isInForce: $0.number == revision && (marked?.revision != revision || marked == $0.position))
            })
    }

    func difference(_ query: ConfigurationDiffQuery) async throws -> ConfigurationDiffView {
        let to = try await plain(ConfigurationQuery(revision: query.to, canonical: true)).view
        let older = query.from ?? (to.revision > 0 ? to.revision - 1 : 0)
        let from = older > 0 ? try await plain(ConfigurationQuery(revision: older, canonical: true)).view.text : ""
        let lines = TextDifference.lines(from: from, to: to.text)
        return ConfigurationDiffView(
            from: older, to: to.revision, lines: query.secrets ?? false ? lines : Secrets.hide(in: lines))
    }
}
