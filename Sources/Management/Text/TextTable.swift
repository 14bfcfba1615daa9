import Wire

/// Columns that line up.
public struct TextTable {
    public enum Alignment: Sendable { case left, right }

    private let heads: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    public init(_ columns: [(head: String, alignment: Alignment)]) {
        heads = columns.map(\.head)
        alignments = columns.map(\.alignment)
    }

    /// A row with as many cells as there are columns; missing ones are empty.
    public mutating func append(_ cells: [String]) { rows.append(cells) }

    public var lines: [String] {
        let all = [heads] + rows
        let widths = heads.indices.map { column in
            all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return all.map { row in
            var line = ""
            for column in heads.indices {
                let cell = column < row.count ? row[column] : ""
                let gap = String(repeating: " ", count: max(0, widths[column] - cell.count))
                if column > 0 { line += "  " }
                line += alignments[column] == .left ? cell + gap : gap + cell
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

/// Numbers and times as an operator reads them.
public enum Words {
    /// As FRR and OpenBGPD show it: `00:12:34`, `3d04h05m`, `02w3d04h`.
    public static func upTime(_ span: TimeSpan) -> String {
        let seconds = max(0, span.duration.components.seconds)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let days = seconds / 86_400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60
        if seconds < 86_400 { return "\(two(hours)):\(two(minutes)):\(two(seconds % 60))" }
        if days < 7 { return "\(days)d\(two(hours))h\(two(minutes))m" }
        return "\(two(days / 7))w\(days % 7)d\(two(hours))h"
    }

    /// With the unit that leaves one to three digits before the point: `120 µs`, `4.25 ms`, `1.2 s`.
    public static func span(_ span: TimeSpan) -> String {
        let seconds = span.seconds
        func digits(_ value: Double) -> String {
            let hundredths = Int((value * 100).rounded())
            let whole = hundredths / 100, rest = hundredths % 100
            if rest == 0 || whole >= 100 { return "\(whole)" }
            return rest % 10 == 0 ? "\(whole).\(rest / 10)" : "\(whole).\(rest < 10 ? "0" : "")\(rest)"
        }
        guard seconds.isFinite, abs(seconds) < 1e9 else { return "–" }
        if abs(seconds) < 1e-3 { return digits(seconds * 1e6) + " µs" }
        if abs(seconds) < 1 { return digits(seconds * 1e3) + " ms" }
        if abs(seconds) < 120 { return digits(seconds) + " s" }
        return upTime(span)
    }

    /// `512 B`, `1.5 KiB`, `33.2 MiB`
    public static func octets(_ count: UInt64) -> String {
        if count < 1024 { return "\(count) B" }
        var value = Double(count)
        for unit in ["KiB", "MiB", "GiB"] {
            value /= 1024
            if value < 1024 || unit == "GiB" {
                let tenths = Int((value * 10).rounded())
                return tenths % 10 == 0 || tenths >= 1000 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
            }
        }
        return "\(count) B"
    }

    /// `2026-11-21 00:12:34.567` in UTC.
    public static func time(_ time: String) -> String {
        let text = time.replacing("T", with: " ")
        return text.count > 23 ? String(text.prefix(23)) : text
    }

    public static func count(_ number: Int, _ one: String, _ many: String) -> String {
        "\(number) \(number == 1 ? one : many)"
    }
}
