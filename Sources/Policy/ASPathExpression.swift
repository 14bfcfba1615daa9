import Wire

// Regular expressions over AS paths. The letters are AS numbers, not characters: `65001` is that AS and never a part of another
// number. One grammar takes what operators of other routers write:
//
//     expression  = branch ( "|" branch )…                      alternatives
//     branch      = ( element [ repetition ] )…                 one behind the other, with or without blanks
//     element     = number | number "-" number | number ".." number      an AS, or one of a range; 1.10 is asdot (RFC 5396)
//                 | digits and classes of digits, like 6500[1-5] or [0-9]+   the numbers that are written so
//                 | "[" number or range, separated by blanks or commas "]"   one of these
//                 | "."                                          any AS
//                 | "*"  "+"  "?"  behind a blank or at the start   any number of ASes, one at least, one (BIRD)
//                 | "(" expression ")" | "()"                    a group; nothing
//                 | "^" | "$" | "_"                              start and end of the path; the place between two ASes
//     repetition  = "?" | "*" | "+" | "{" m "}" | "{" m "," n "}" | "{" m "," "}"    directly behind its element
//
// With `^`, `$` or `_` anywhere in it an expression is looked for within the path, as FRR and Cisco IOS do: `_65001_` is 65001
// anywhere. Without them it describes the whole path, as Junos and BIRD do: `65001 .*`.
//
// An AS_SET (RFC 4271 §4.3) is one element, as it counts one in the length of the path (§9.1.2.2 (a)): it is matched by whatever
// matches any of its members. Segments of confederations (RFC 5065 §3) are read like the others, so AS_CONFED_SEQUENCE is a row of
// elements and AS_CONFED_SET is one.

/// What an expression is made of.
indirect enum ASPathNode: Hashable {
    /// Nothing, which every place has.
    case empty
    case element(ASNumberSet)
    case start
    case end
    case sequence([ASPathNode])
    case choice([ASPathNode])
    /// `nil`: without end.
    case repeated(ASPathNode, Int, Int?)

    static let any = ASPathNode.element(.everything)
    static let anything = ASPathNode.repeated(any, 0, nil)

    /// One behind the other, without what says nothing.
    static func row(_ nodes: [ASPathNode]) -> ASPathNode {
        var flat: [ASPathNode] = []
        for node in nodes {
            switch node {
            case .empty: continue
            case .sequence(let inner): flat += inner
            default: flat.append(node)
            }
        }
        return flat.isEmpty ? .empty : flat.count == 1 ? flat[0] : .sequence(flat)
    }

    /// One of them. Those that are one AS each are one set of numbers together.
    static func oneOf(_ nodes: [ASPathNode]) -> ASPathNode {
        var branches: [ASPathNode] = []
        var ranges: [ClosedRange<UInt32>] = []
        var place: Int?
        for node in nodes {
            for branch in node.branches {
                if case .element(let set) = branch {
                    ranges += set.ranges
                    if place == nil {
                        place = branches.count
                        branches.append(branch)
                    }
                } else {
                    branches.append(branch)
                }
            }
        }
        if let place { branches[place] = .element(ASNumberSet(ranges)) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    var branches: [ASPathNode] {
        if case .choice(let branches) = self { branches } else { [self] }
    }
    /// Those of a row, or the node alone.
    var row: [ASPathNode] {
        switch self {
        case .empty: []
        case .sequence(let nodes): nodes
        default: [self]
        }
    }
}

/// An expression that was understood.
public struct ASPathExpression: Hashable, Sendable {
    /// Octets of an expression.
    public static let lengthMaximum = 32_768
    /// Groups within groups.
    static let depthMaximum = 32
    /// Within braces.
    static let repetitionMaximum = 255

    let node: ASPathNode
    /// It is looked for within the path; else it is the whole path.
    let isSearched: Bool

    /// Why a text is no expression.
    public struct Problem: Error, Hashable, Sendable {
        /// Where, counted in characters from 1.
        public var position: Int
        public var message: String
    }

    public init(_ text: String) throws(Problem) {
        var parser = ASPathParser(text)
        node = try parser.parse()
        isSearched = parser.isSearched
    }
}

extension ASPathNode: Sendable {}

private struct ASPathParser {
    private let letters: [UInt8]
    private var at = 0
    private var depth = 0
    private(set) var isSearched = false
    /// Ranges of numbers that classes of digits became.
    private var written = 0
    private static let writtenMaximum = 65_536

    init(_ text: String) { letters = Array(text.utf8) }

    private func problem(_ message: String, at place: Int? = nil) -> ASPathExpression.Problem {
        // What is not ASCII is refused where it begins, so octets before it are characters.
        ASPathExpression.Problem(position: (place ?? at) + 1, message: message)
    }
    private var letter: UInt8? { at < letters.count ? letters[at] : nil }
    private func isNext(_ wanted: Unicode.Scalar) -> Bool { letter == UInt8(ascii: wanted) }
    private mutating func take(_ wanted: Unicode.Scalar) -> Bool {
        guard isNext(wanted) else { return false }
        at += 1
        return true
    }
    private mutating func skipBlanks() { while take(" ") {} }
    private static func isDigit(_ letter: UInt8?) -> Bool {
        letter.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
    }

    mutating func parse() throws(ASPathExpression.Problem) -> ASPathNode {
        guard letters.count <= ASPathExpression.lengthMaximum else {
            throw problem("an expression has at most \(ASPathExpression.lengthMaximum) octets", at: 0)
        }
        let node = try alternatives()
        if isNext(")") { throw problem("this ')' closes nothing") }
        return node
    }

    private mutating func alternatives() throws(ASPathExpression.Problem) -> ASPathNode {
        var branches = [try branch()]
        while take("|") { branches.append(try branch()) }
        return .oneOf(branches)
    }

    private mutating func branch() throws(ASPathExpression.Problem) -> ASPathNode {
        var nodes: [ASPathNode] = []
        skipBlanks()
        while let letter, letter != UInt8(ascii: "|"), letter != UInt8(ascii: ")") {
            let begin = at
            let node = try element()
            nodes.append(try repeated(node, from: begin))
            skipBlanks()
        }
        return .row(nodes)
    }

    private mutating func element() throws(ASPathExpression.Problem) -> ASPathNode {
        let begin = at
        guard let letter else { throw problem("an AS number is expected here") }
        switch Unicode.Scalar(letter) {
        case "^":
            at += 1
            isSearched = true
            return .start
        case "$":
            at += 1
            isSearched = true
            return .end
        case "_":
            // Two ASes are apart in any case.
            at += 1
            isSearched = true
            return .empty
        case "(":
            at += 1
            depth += 1
            guard depth <= ASPathExpression.depthMaximum else {
                throw problem("groups are at most \(ASPathExpression.depthMaximum) deep", at: begin)
            }
            let node = try alternatives()
            guard take(")") else { throw problem("this '(' is not closed", at: begin) }
            depth -= 1
            return node
        case ".":
            at += 1
            if isNext(".") { throw problem("'..' needs a number on both sides; write '. .' for two ASes", at: begin) }
            return .any
        // Alone they are BIRD's: a repetition stands directly behind its element.
        case "*", "+", "?":
            guard begin == 0 || [" ", "(", "|"].contains(Unicode.Scalar(letters[begin - 1])) else {
                throw problem("'\(Unicode.Scalar(letter))' repeats nothing here; write one repetition for each element")
            }
            at += 1
            return letter == UInt8(ascii: "?") ? .any : .repeated(.any, letter == UInt8(ascii: "+") ? 1 : 0, nil)
        case "[":
            return try bracket()
        case "0"..."9":
            return try number()
        default:
            throw unexpected(letter)
        }
    }

    private func unexpected(_ letter: UInt8) -> ASPathExpression.Problem {
        switch Unicode.Scalar(letter) {
        case "{":
            problem(
                "a repetition stands directly behind what it repeats; an AS_SET is matched by any of its members, without braces")
        case "\\":
            problem("'\\' has no meaning here: an expression is made of AS numbers, not of characters")
        case "!":
            problem("'!' has no meaning here; write 'not' around the condition")
        case "]", "}":
            problem("this '\(Unicode.Scalar(letter))' closes nothing")
        case "-":
            problem("a range needs a number on both sides, like 65000-65100")
        case ",":
            problem("a comma stands only within [ ] and { }; write a blank between two ASes")
        case let other:
            problem(
                letter > 32 && letter < 127
                    ? "'\(other)' has no meaning here; write AS numbers, . * + ? | ( ) [ ] { } ^ $ or _"
                    : "only printable ASCII characters have a meaning here")
        }
    }

    // MARK: numbers

    /// A number, asdot, a range, or digits with classes of digits.
    private mutating func number() throws(ASPathExpression.Problem) -> ASPathNode {
        let begin = at
        let first = try plainNumber()
        if isNext("[") {
            at = begin
            return try digitPattern()
        }
        return .element(ASNumberSet([try range(from: first, begin)]))
    }

    private mutating func plainNumber() throws(ASPathExpression.Problem) -> UInt32 {
        let begin = at
        func digits(from start: Int) -> Int {
            var end = start
            while end < letters.count, Self.isDigit(letters[end]) { end += 1 }
            return end
        }
        at = digits(from: at)
        if isNext("."), at + 1 < letters.count, Self.isDigit(letters[at + 1]) { at = digits(from: at + 1) }
        let text = String(decoding: letters[begin..<at], as: UTF8.self)
        guard begin < at, let number = ASNumber(text) else {
            throw problem("'\(text.prefix(20))' is no AS number; write a number from 0 to 4294967295", at: begin)
        }
        return number.raw
    }

    /// What follows a number: `-` or `..` and another one.
    private mutating func range(from first: UInt32, _ begin: Int) throws(ASPathExpression.Problem) -> ClosedRange<UInt32> {
        let isDotted = isNext(".") && at + 1 < letters.count && letters[at + 1] == UInt8(ascii: ".")
        guard isDotted || isNext("-") else { return first...first }
        at += isDotted ? 2 : 1
        guard Self.isDigit(letter) else { throw problem("a range needs a number on both sides, like 65000-65100") }
        let last = try plainNumber()
        guard first <= last else { throw problem("\(first) is above \(last)", at: begin) }
        return first...last
    }

    /// Numbers that are written with these digits: `6500[1-5]`, `[0-9]+`.
    private mutating func digitPattern() throws(ASPathExpression.Problem) -> ASPathNode {
        let begin = at
        // Beginnings of numbers of one length.
        var heads: [ClosedRange<UInt64>] = [0...0]
        var count = 0
        while true {
            let digits: [UInt8]
            if let letter, Self.isDigit(letter) {
                digits = [letter - UInt8(ascii: "0")]
                at += 1
            } else if isNext("["), let own = try digitClass() {
                if own.count == 10, let last = letter, [UInt8(ascii: "+"), UInt8(ascii: "*")].contains(last) {
                    at += 1
                    return try open(heads, count, atLeastOne: last == UInt8(ascii: "+"), begin)
                }
                digits = own
            } else {
                break
            }
            let longer = Self.appending(digits, to: count == 1 ? Self.withoutZero(heads) : heads)
            count += 1
            guard let longer, count <= 10 else { throw tooMany(begin) }
            heads = longer
        }
        return .element(ASNumberSet(try ranges(heads, begin)))
    }

    private func tooMany(_ begin: Int) -> ASPathExpression.Problem {
        problem("too many numbers are written so; write a range, like 65000-65100", at: begin)
    }

    /// No number begins with a zero.
    private static func withoutZero(_ heads: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
        heads.compactMap { $0.upperBound == 0 ? nil : max($0.lowerBound, 1)...$0.upperBound }
    }

    /// `nil`: they are too many.
    private static func appending(_ digits: [UInt8], to heads: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>]? {
        if digits.count == 10 { return heads.map { $0.lowerBound * 10...$0.upperBound * 10 + 9 } }
        guard heads.reduce(0, { $0 + $1.count }) * digits.count <= 1000 else { return nil }
        return heads.flatMap { $0 }.flatMap { head in digits.map { head * 10 + UInt64($0)...head * 10 + UInt64($0) } }
    }

    /// Any digits behind `heads`: `[0-9]+`, `65[0-9]*`. Alone, `[0-9]*` is any AS or none.
    private mutating func open(
        _ heads: [ClosedRange<UInt64>], _ count: Int, atLeastOne: Bool, _ begin: Int
    ) throws(ASPathExpression.Problem) -> ASPathNode {
        if count == 0 { return atLeastOne ? .any : .repeated(.any, 0, 1) }
        var all: [ClosedRange<UInt64>] = atLeastOne ? [] : heads
        for head in Self.withoutZero(heads) {
            var (low, high) = (head.lowerBound * 10, head.upperBound * 10 + 9)
            while low <= UInt64(UInt32.max) {
                all.append(low...high)
                (low, high) = (low * 10, high * 10 + 9)
            }
        }
        return .element(ASNumberSet(try ranges(all, begin)))
    }

    private mutating func ranges(
        _ wide: [ClosedRange<UInt64>], _ begin: Int
    ) throws(ASPathExpression.Problem) -> [ClosedRange<UInt32>] {
        let highest = UInt64(UInt32.max)
        let narrow = wide.filter { $0.lowerBound <= highest }
            .map { UInt32($0.lowerBound)...UInt32(min($0.upperBound, highest)) }
        guard !narrow.isEmpty else { throw problem("no AS number is written so", at: begin) }
        written += narrow.count
        if written > Self.writtenMaximum { throw tooMany(begin) }
        return narrow
    }

    /// `[0-9]`, `[135]`: its digits; `nil` if it is a list of ASes.
    private mutating func digitClass() throws(ASPathExpression.Problem) -> [UInt8]? {
        let begin = at
        guard let end = letters[at...].firstIndex(of: UInt8(ascii: "]")) else { throw problem("this '[' is not closed") }
        let inner = letters[(at + 1)..<end]
        if inner.first == UInt8(ascii: "^") {
            throw problem("'[^' has no meaning here; write 'not' around the condition")
        }
        guard inner.allSatisfy({ Self.isDigit($0) || $0 == UInt8(ascii: "-") }) else { return nil }
        // Several digits on both sides make it a range of ASes.
        let sides = inner.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        if sides.count == 2, sides[0].count > 1, sides[1].count > 1 { return nil }
        var digits: [UInt8] = []
        var rest = inner
        while let first = rest.popFirst() {
            var last = first
            if rest.first == UInt8(ascii: "-") {
                rest.removeFirst()
                last = rest.popFirst() ?? 0
            }
            // Ascending, so that a number in brackets is not taken for its digits.
            guard Self.isDigit(first), first <= last, (digits.last ?? 0) < first else {
                throw problem(
                    "'[\(String(decoding: inner.prefix(40), as: UTF8.self))]' is no class of digits like [0-9]; "
                        + "write one of several ASes like [65001 65002]", at: begin)
            }
            digits += first...last
        }
        guard !digits.isEmpty else { throw problem("nothing stands within '[]'", at: begin) }
        at = end + 1
        return digits.map { $0 - UInt8(ascii: "0") }
    }

    /// A list of ASes, or digits of one.
    private mutating func bracket() throws(ASPathExpression.Problem) -> ASPathNode {
        let begin = at
        if try digitClass() != nil {
            at = begin
            return try digitPattern()
        }
        at += 1
        var all: [ClosedRange<UInt32>] = []
        while true {
            while take(" ") || take(",") {}
            if take("]") { break }
            let start = at
            guard Self.isDigit(letter) else {
                throw letter == nil
                    ? problem("this '[' is not closed", at: begin) : problem("an AS number is expected here")
            }
            all.append(try range(from: try plainNumber(), start))
        }
        return .element(ASNumberSet(all))
    }

    // MARK: repetitions

    private mutating func repeated(_ node: ASPathNode, from begin: Int) throws(ASPathExpression.Problem) -> ASPathNode {
        guard let letter else { return node }
        let place = at
        let bounds: (Int, Int?)
        switch Unicode.Scalar(letter) {
        case "?": bounds = (0, 1)
        case "*": bounds = (0, nil)
        case "+": bounds = (1, nil)
        case "{":
            at += 1
            let low = try count()
            var high: Int? = low
            if take(",") { high = isNext("}") ? nil : try count() }
            guard take("}") else { throw problem("a repetition is {m}, {m,} or {m,n}", at: place) }
            if let high, high < low { throw problem("{\(low),\(high)} repeats never; write the lower number first", at: place) }
            bounds = (low, high)
            return try finish(node, bounds, from: begin, place)
        default: return node
        }
        at += 1
        return try finish(node, bounds, from: begin, place)
    }

    private func finish(
        _ node: ASPathNode, _ bounds: (Int, Int?), from begin: Int, _ place: Int
    ) throws(ASPathExpression.Problem) -> ASPathNode {
        if let letter, "?*+{".unicodeScalars.contains(Unicode.Scalar(letter)) {
            throw problem("one repetition follows another; put what is repeated into a group")
        }
        switch node {
        case .start, .end: throw problem("'\(Unicode.Scalar(letters[begin]))' cannot be repeated", at: place)
        case .empty: return .empty
        default: return bounds == (1, 1) ? node : .repeated(node, bounds.0, bounds.1)
        }
    }

    private mutating func count() throws(ASPathExpression.Problem) -> Int {
        let begin = at
        while Self.isDigit(letter) { at += 1 }
        guard begin < at, at - begin < 4,
            let number = Int(String(decoding: letters[begin..<at], as: UTF8.self)),
            number <= ASPathExpression.repetitionMaximum
        else { throw problem("a number from 0 to \(ASPathExpression.repetitionMaximum) is expected here", at: begin) }
        return number
    }
}
