/// What changes between two texts, for people: lines that begin with `+` or `-`, and lines with a blank for where they are.
public enum TextDifference {
    /// Beyond so many differing lines the texts are shown one after the other: comparing costs their product.
    private static let linesMaximum = 4_000

    /// Empty if the texts are equal. Each change is shown below the lines that it belongs to by indentation; `  …` stands
    /// for lines left out.
    public static func lines(from old: String, to new: String) -> [String] {
        if old == new { return [] }
        var places: [Place: Int] = [:]
        let a = lines(of: old, &places), b = lines(of: new, &places)
        var start = 0
        while start < min(a.count, b.count), a[start].place == b[start].place { start += 1 }
        var end = 0
        while end < min(a.count, b.count) - start, a[a.count - 1 - end].place == b[b.count - 1 - end].place { end += 1 }
        let middle = merge(Array(a[start..<(a.count - end)]), Array(b[start..<(b.count - end)]))
        let all = a[..<start].map { (" ", $0.text) } + middle + a[(a.count - end)...].map { (" ", $0.text) }
        return excerpt(all)
    }

    /// A line together with where it stands: the same words below another neighbour are another line.
    private struct Line {
        var text: Substring
        var place: Int
    }
    private struct Place: Hashable {
        var parent: Int
        var text: Substring
    }
    private static func depth(_ line: Substring) -> Int { line.prefix { $0 == " " }.count }

    /// - Parameter places: numbers of places, the same for both texts.
    private static func lines(of text: String, _ places: inout [Place: Int]) -> [Line] {
        var parents: [(depth: Int, place: Int)] = []
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let own = depth(line)
            // What follows `- ` is as deep as its text: `- address: …` leads to `  remote-as: …` below it.
            while let last = parents.last, last.depth >= own { parents.removeLast() }
            let place = Place(parent: parents.last?.place ?? 0, text: line)
            let number = places[place] ?? places.count + 1
            places[place] = number
            parents.append((own, number))
            return Line(text: line, place: number)
        }
    }

    private static func merge(_ a: [Line], _ b: [Line]) -> [(String, Substring)] {
        guard a.count <= linesMaximum, b.count <= linesMaximum else {
            return a.map { ("-", $0.text) } + b.map { ("+", $0.text) }
        }
        var removed: Set<Int> = [], inserted: Set<Int> = []
        for change in b.map(\.place).difference(from: a.map(\.place)) {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var result: [(String, Substring)] = []
        var i = 0, j = 0
        while i < a.count || j < b.count {
            if i < a.count, removed.contains(i) {
                result.append(("-", a[i].text))
                i += 1
            } else if j < b.count, inserted.contains(j) {
                result.append(("+", b[j].text))
                j += 1
            } else {
                result.append((" ", a[i].text))
                i += 1
                j += 1
            }
        }
        return result
    }

    /// The changed lines with those that lead to them.
    private static func excerpt(_ lines: [(mark: String, text: Substring)]) -> [String] {
        var shown: Set<Int> = []
        /// Unchanged lines that lead to the present one, outermost first.
        var parents: [(depth: Int, index: Int)] = []
        for (i, line) in lines.enumerated() where !line.text.isEmpty {
            let own = depth(line.text)
            while let last = parents.last, last.depth >= own { parents.removeLast() }
            if line.mark == " " {
                parents.append((own, i))
            } else {
                shown.insert(i)
                for parent in parents { shown.insert(parent.index) }
            }
        }
        var result: [String] = []
        var last = -1
        for i in shown.sorted() {
            // A section at the left margin needs no sign that something was left out before it.
            if i != last + 1, last >= 0, lines[i].mark != " " || depth(lines[i].text) > 0 {
                result.append("  …")
            }
            result.append("\(lines[i].mark) \(lines[i].text)")
            last = i
        }
        return result
    }
}
