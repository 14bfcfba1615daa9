import Foundation
public import Machine
public import Testing

/// The steps of a scenario as a text that lies beside the test: time, input, and what came of it, octets included. A protocol
/// that does anything else than before, if only a timer or an octet, fails by the step at which it first did.
///
/// `LOCKSTEP_RECORD=1 swift test --filter RecordedTests` writes the texts anew; a change there is one of what a neighbour sees.
public final class StepRecorder {
    private let title: String
    private var begin: Instant?
    private var blocks: [String] = []
    private var states: [String: [String]] = [:]

    /// - Parameter title: what happens, in a line or several.
    public init(_ title: String) { self.title = title }

    /// One step. What was only time and led to nothing is left out.
    ///
    /// - Parameters:
    ///   - who: the machine that takes a step; its state is compared with that after its step before.
    ///   - input: `nil` for nothing but the time.
    ///   - outcome: what came of it, a line each.
    ///   - state: what the machine is then, a line for each part of it. The difference is written.
    public func step(
        at now: Instant, _ who: String, _ input: String?, outcome: [String], state: [String] = []
    ) {
        let before = states.updateValue(state, forKey: who) ?? []
        let news =
            state.filter { !before.contains($0) }.map { "= " + $0 }
            + before.filter { !state.contains($0) }.map { "no longer " + $0 }
        if input == nil, outcome.isEmpty, news.isEmpty { return }
        if begin == nil { begin = now }
        let passed = Instant(nanoseconds: now.nanoseconds - begin!.nanoseconds)
        let head = "\(blocks.count + 1)  +\(passed)  \(who): \(input ?? "time")"
        blocks.append(([head] + (outcome + news).map { "    " + $0 }).joined(separator: "\n"))
    }

    /// Octets as lines of hexadecimal digits, 32 octets each. Lines that repeat the one before are counted.
    public static func octets(_ bytes: some Collection<UInt8>) -> [String] {
        var lines: [String] = []
        var last: [UInt8] = []
        var repeated = 0
        var rest = Array(bytes)[...]
        func close() { if repeated > 0 { lines.append("    and \(repeated) octets like these") } }
        while !rest.isEmpty {
            let row = Array(rest.prefix(32))
            rest = rest.dropFirst(32)
            if row == last {
                repeated += 32
                continue
            }
            close()
            (last, repeated) = (row, 0)
            var line = "   "
            for (i, octet) in row.enumerated() {
                line += (i % 4 == 0 ? " " : "") + (octet < 16 ? "0" : "") + String(octet, radix: 16)
            }
            lines.append(line)
        }
        close()
        return lines
    }

    /// Compares with `Recorded/<name>.txt` of the caller's target, or writes it.
    public func hold(_ name: String, filePath: String = #filePath, at location: SourceLocation = #_sourceLocation) throws {
        let text = ([title] + blocks).joined(separator: "\n\n") + "\n"
        try Recording(name, filePath: filePath).hold(text, at: location)
    }
}

/// A text file beside the tests that says what is to come out.
public struct Recording {
    /// Whether texts are written anew.
    public static let isWriting = ProcessInfo.processInfo.environment["LOCKSTEP_RECORD"] == "1"
    private let name: String
    private let file: URL

    /// - Parameter filePath: of a source of the test target.
    public init(_ name: String, filePath: String = #filePath) {
        self.name = name
        var folder = URL(fileURLWithPath: filePath)
        while folder.deletingLastPathComponent().lastPathComponent != "Tests" { folder.deleteLastPathComponent() }
        file = folder.appendingPathComponent("Recorded/\(name).txt")
    }

    /// What is on record; `nil` if nothing is.
    public var text: String? { try? String(contentsOf: file, encoding: .utf8) }

    public func write(_ text: String) throws {
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    /// Records an issue if `text` is not what is on record.
    public func hold(_ text: String, at location: SourceLocation = #_sourceLocation) throws {
        if Self.isWriting, self.text != text { try write(text) }
        guard let recorded = self.text else {
            Issue.record("there is no recording '\(name)': LOCKSTEP_RECORD=1 makes it", sourceLocation: location)
            return
        }
        guard let difference = Self.difference(recorded: recorded, now: text) else { return }
        Issue.record("\(name): \(difference)\nLOCKSTEP_RECORD=1 writes it anew", sourceLocation: location)
    }

    /// The first step that is not as recorded, line by line: `-` was, `+` is. `nil` if all are.
    public static func difference(recorded: String, now: String) -> String? {
        guard recorded != now else { return nil }
        func blocks(_ text: String) -> [String] {
            (text.hasSuffix("\n") ? String(text.dropLast()) : text).components(separatedBy: "\n\n")
        }
        let old = blocks(recorded), new = blocks(now)
        guard
            let step = (0..<max(old.count, new.count)).first(where: { $0 >= old.count || $0 >= new.count || old[$0] != new[$0] })
        else { return "the end is another" }
        func lines(_ blocks: [String]) -> [String] {
            step < blocks.count ? blocks[step].split(separator: "\n", omittingEmptySubsequences: false).map(String.init) : []
        }
        let before = lines(old), after = lines(new)
        var removed: Set<Int> = [], inserted: Set<Int> = []
        for change in after.difference(from: before) {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var text = step == 0 ? "the title is another" : "step \(step) is another than the one recorded"
        if old.count != new.count { text += " (\(old.count - 1) steps then, \(new.count - 1) now)" }
        var i = 0, j = 0
        while i < before.count || j < after.count {
            if removed.contains(i) {
                text += "\n- " + before[i]
                i += 1
            } else if inserted.contains(j) {
                text += "\n+ " + after[j]
                j += 1
            } else {
                text += "\n  " + before[i]
                i += 1
                j += 1
            }
        }
        return text
    }
}
