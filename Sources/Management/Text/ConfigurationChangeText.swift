// What `config apply` and `config rollback` say, and how a text remembers the revision that it was made from.

extension ConfigurationApplyView {
    /// What became of the change.
    public struct Outcome: Hashable, Sendable {
        /// For the standard output.
        public var lines: [String] = []
        /// For the standard error: what is not as it should be.
        public var complaints: [String] = []
        public var status = Status.done
        public enum Status: Hashable, Sendable { case done, failed, refused }
    }

    /// - Parameters:
    ///   - command: with what it was asked, for advice: the command's words and what follows its options.
    public func outcome(isDryRun: Bool = false, command: (words: String, object: String)) -> Outcome {
        var outcome = Outcome()
        outcome.complaints = problems.map(\.description)
        if let conflict {
            outcome.complaints += conflict.lines(command)
            outcome.status = .refused
            return outcome
        }
        outcome.lines = difference
        guard isAccepted else {
            let errors = problems.count { $0.isError }
            outcome.complaints.append("refused, \(Words.count(errors, "error", "errors")); the configuration in force stays")
            outcome.status = .refused
            return outcome
        }
        if let revision {
            describe(revision, into: &outcome)
        } else if difference.isEmpty {
            outcome.lines.append("nothing changes")
        } else if isDryRun {
            let advice =
                base.map { "; '\(command.words) --base \($0) \(command.object)' does it only if nobody changes something before" }
                ?? ""
            outcome.lines.append("nothing was changed: this is what would be\(advice)")
        }
        return outcome
    }

    private func describe(_ revision: UInt64, into outcome: inout Outcome) {
        guard let storage, !storage.isEmpty else {
            return outcome.lines.append("revision \(revision) is in force")
        }
        let missing = storage.filter { !$0.isStored }
        guard !missing.isEmpty else {
            if storage.count == 1 {
                outcome.lines.append("revision \(revision) is in force")
            } else if isRedundant ?? false {
                outcome.lines.append("revision \(revision) is in force, on both controllers")
            } else {
                outcome.lines.append(
                    "revision \(revision) is in force; both controllers have stored it, the standby is not in lock step yet")
            }
            return
        }
        let stored = storage.filter(\.isStored).map(\.controller)
        let place = stored.first.map { ", stored on controller \($0)" } ?? ", and stored nowhere"
        outcome.lines.append("revision \(revision) is in force\(place)")
        for each in missing {
            outcome.complaints.append(
                (each.isExpected ? "" : "warning: ") + "controller \(each.controller) has not stored it: \(each.reason)")
        }
        if stored.isEmpty {
            outcome.complaints.append(
                "it is in memory only: if the power fails now, an earlier configuration may come back. Put right what is said above; "
                    + "what waits is written by itself, and 'show events' says so")
        }
        if missing.contains(where: \.isExpected) || stored.isEmpty { outcome.status = .failed }
    }
}

extension ConfigurationConflictView {
    /// What the author is told.
    public func lines(_ command: (words: String, object: String)) -> [String] {
        var lines = [
            "refused: this was made from revision \(base), and revision \(revision) is in force. What was changed since:"
        ]
        for change in changes {
            let author = change.author.isEmpty ? "somebody" : change.author
            let comment = change.comment.isEmpty ? "" : ": \(change.comment)"
            lines.append("  revision \(change.revision) by \(author), \(Words.time(ManagementTime.text(change.time)))\(comment)")
        }
        if let difference {
            lines += difference.map { "  \($0)" }
        } else {
            lines.append("  (revision \(base) is not known here, so there is no difference to show)")
        }
        lines.append(
            "nothing was changed. When what you want holds with these changes, say '\(command.words) --base \(revision) \(command.object)'"
        )
        return lines
    }
}

/// The first line of a text that `config show` printed: it names the revision, so that `config apply` knows what an edited
/// text was made from.
public enum ConfigurationHeader {
    private static let prefix = "# revision "

    /// The revision that a text was made from, if it says so.
    public static func revision(of text: String) -> UInt64? {
        guard text.hasPrefix(prefix) else { return nil }
        return UInt64(text.dropFirst(prefix.count).prefix { $0.isASCII && $0.isNumber })
    }

    /// The text of the view under its header; an earlier one is replaced.
    public static func text(of view: ConfigurationView) -> String {
        guard view.revision > 0 else { return view.text }
        var header = prefix + "\(view.revision)"
        if let time = view.time { header += ", " + Words.time(ManagementTime.text(time)) + " UTC" }
        if !view.author.isEmpty { header += ", by " + line(view.author) }
        if !view.comment.isEmpty { header += ": " + line(view.comment) }
        let body = revision(of: view.text) == nil ? view.text : String(view.text.drop { $0 != "\n" }.dropFirst())
        return header + "\n" + body
    }

    /// What others wrote must not end the comment.
    private static func line(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }))
    }
}
