import Machine
import Testing
import Wire

@testable import Policy

/// Paths as tests write them: numbers in order, sets in braces.
enum PathText {
    static func segments(_ text: String) -> [(isSet: Bool, numbers: [UInt32])] {
        var result: [(isSet: Bool, numbers: [UInt32])] = []
        for word in text.split(separator: " ") {
            let isSet = word.hasPrefix("{")
            let numbers = word.split(whereSeparator: { !$0.isNumber }).map { UInt32($0)! }
            result.append((isSet, numbers))
        }
        return result
    }
}

extension [ASPathAutomaton] {
    func accept(_ path: String) -> Bool {
        contains { automaton in
            var cursor = automaton.beginning
            for segment in PathText.segments(path) where !automaton.isDecided(cursor) {
                if segment.isSet {
                    automaton.read(anyOf: segment.numbers.count, { segment.numbers[$0] }, &cursor)
                } else {
                    automaton.read(segment.numbers[0], &cursor)
                }
            }
            return automaton.accepts(cursor)
        }
    }
}

@Suite struct ASPathTests {
    static func automata(_ texts: [String]) throws -> [ASPathAutomaton] {
        try ASPathAutomaton.automata(texts.map { try ASPathExpression($0) })
    }
    static func matches(_ text: String, _ path: String) throws -> Bool { try automata([text]).accept(path) }

    @Test(
        arguments: [
            // As FRR and Cisco IOS write it: looked for within the path.
            ("_65001_", ["65001", "1 65001 2", "65001 2", "{65001,3} 2", "1 {5,65001}"], ["", "650011", "1 2"]),
            ("^65001_", ["65001", "65001 2"], ["", "1 65001", "165001"]),
            ("^65001.*", ["65001", "65001 2"], ["2"]),
            ("_65001$", ["65001", "2 65001", "2 {65001,4}"], ["65001 2"]),
            ("^$", [""], ["1"]),
            (".*", ["", "1", "1 2"], []),
            ("^[0-9]+$", ["1", "{1,2}"], ["", "1 2"]),
            ("^[0-9]*$", ["", "1"], ["1 2"]),
            ("^65001(_65001)*$", ["65001", "65001 65001 65001"], ["", "65001 2"]),
            ("^65001(_[0-9]+)*$", ["65001", "65001 1 2 3"], ["1 65001"]),
            ("^[0-9]+_65001$", ["7 65001"], ["65001", "7 8 65001"]),
            ("(^|_)65001(_|$)", ["65001", "1 65001 2"], ["1 2"]),
            ("_(65001|65002)_65003_", ["1 65002 65003", "65001 65003 9"], ["65001 65002"]),
            ("^65001_|_65002$", ["65001 3", "3 65002"], ["3 65001", "65002 3"]),
            ("_6500[1-5]_", ["65001", "1 65005"], ["65006", "6500"]),
            ("_64[5-9][0-9][0-9]_", ["64512", "64999"], ["64499", "6451"]),
            ("_65[0-9]+_", ["650", "65000", "651234"], ["65", "66"]),
            ("_[135]_", ["3"], ["2", "13"]),
            ("_[0-9][0-9][0-9]_", ["100", "999"], ["99", "1000"]),
            ("_[0-9][135]_", ["11", "95"], ["5", "12"]),
            ("_65[0-9]*_", ["65", "65000"], ["66", "6"]),
            ("_0_", ["0"], ["10"]),
            ("^(65001_)+$", ["65001", "65001 65001"], ["", "65001 65002"]),
            ("^65001_.+$", ["65001 2"], ["65001"]),
            // As Junos writes it: the whole path.
            ("65001", ["65001"], ["65001 2", "1 65001", ""]),
            ("65001 .*", ["65001", "65001 2 3"], ["2 65001"]),
            (".* 65001 .*", ["65001", "1 65001 2"], ["1 2"]),
            (
                "65001 (65002|65003){1,3} 65000-65100", ["65001 65002 65050", "65001 65003 65002 65003 65100"],
                ["65001 65050", "65001 65002"]
            ),
            ("65001{2}", ["65001 65001"], ["65001", "65001 65001 65001"]),
            ("65001{2,}", ["65001 65001", "65001 65001 65001"], ["65001"]),
            ("65001{0,1} 7", ["7", "65001 7"], ["65001 65001 7"]),
            (". . 65000..65100", ["1 2 65100"], ["1 65100"]),
            ("()", [""], ["1"]),
            ("65001? 65002+", ["65002", "65001 65002 65002"], ["65001"]),
            // As BIRD writes it.
            ("* 65001 *", ["65001", "1 2 65001"], ["1"]),
            ("? 65001", ["1 65001"], ["65001"]),
            ("+ 65001", ["1 65001", "1 2 65001"], ["65001"]),
            ("* [65001, 65003-65005 65010] *", ["1 65004", "65010 2"], ["65002"]),
            ("* [65001-65005]", ["1 65004"], ["65006"]),
            // asdot, and an AS_SET that is one element whichever member matches.
            ("1.10 *", ["65546 1"], ["1 10"]),
            ("1 . 3", ["1 {7,8} 3"], ["1 7 8 3"]),
            ("1 2 3", ["1 {9,2} 3"], ["1 {9,8} 3"]),
            ("1 (2 5|3 6)", ["1 {2,3} 6", "1 {2,3} 5"], ["1 {2,3} 7"]),
        ] as [(String, [String], [String])])
    func `an expression matches what it says`(text: String, matched: [String], others: [String]) throws {
        for path in matched { #expect(try Self.matches(text, path), "\(text) should match '\(path)'") }
        for path in others { #expect(try !Self.matches(text, path), "\(text) should not match '\(path)'") }
    }

    @Test(
        arguments: [
            ("65001 (65002", 7, "this '(' is not closed"),
            ("65001)", 6, "this ')' closes nothing"),
            ("_[65001]_", 2, "'[65001]' is no class of digits like [0-9]; write one of several ASes like [65001 65002]"),
            ("_[^1]_", 2, "'[^' has no meaning here; write 'not' around the condition"),
            ("[1 2", 1, "this '[' is not closed"),
            ("4294967296", 1, "'4294967296' is no AS number; write a number from 0 to 4294967295"),
            ("1 65002-65001", 3, "65002 is above 65001"),
            ("1-", 3, "a range needs a number on both sides, like 65000-65100"),
            ("65001{3,2}", 6, "{3,2} repeats never; write the lower number first"),
            ("65001{256}", 7, "a number from 0 to 255 is expected here"),
            (
                "65001 {2}", 7,
                "a repetition stands directly behind what it repeats; an AS_SET is matched by any of its members, without braces"
            ),
            ("1**", 3, "one repetition follows another; put what is repeated into a group"),
            ("^*", 2, "'^' cannot be repeated"),
            ("(_1)_\\1", 6, "'\\' has no meaning here: an expression is made of AS numbers, not of characters"),
            ("1 .. 2", 3, "'..' needs a number on both sides; write '. .' for two ASes"),
            ("1,2", 2, "a comma stands only within [ ] and { }; write a blank between two ASes"),
            ("!1", 1, "'!' has no meaning here; write 'not' around the condition"),
            ("as1", 1, "'a' has no meaning here; write AS numbers, . * + ? | ( ) [ ] { } ^ $ or _"),
            ("1 §", 3, "only printable ASCII characters have a meaning here"),
        ] as [(String, Int, String)])
    func `what is no expression is refused with its place and what would be right`(
        text: String, position: Int, message: String
    ) {
        #expect(throws: ASPathExpression.Problem(position: position, message: message)) { try ASPathExpression(text) }
    }

    @Test func `what would take too much, or match nothing, is refused`() throws {
        func problem(_ text: String) -> ASPathAutomaton.Problem? {
            do throws(ASPathAutomaton.Problem) {
                _ = try ASPathAutomaton([(try? ASPathExpression(text))!])
                return nil
            } catch { return error }
        }
        #expect(problem("(1{200}){200}") == .tooLong)
        #expect(problem(".* 1 .{12}") == .tooManyStates)
        #expect(problem(".* 1 .{8}") == nil)
        #expect(problem("1 ^ 2") == .empty)
        #expect(problem("1$ 2") == .empty)
        #expect(throws: ASPathExpression.Problem.self) {
            try ASPathExpression(String(repeating: "(", count: 33) + String(repeating: ")", count: 33))
        }
        #expect(throws: ASPathExpression.Problem.self) { try ASPathExpression(String(repeating: "1 ", count: 20_000)) }
    }

    @Test func `many expressions are a few automata, whatever their number`() throws {
        // Those that differ in one AS are one.
        let anywhere = try Self.automata((1...4000).map { "_\($0 * 3)_" })
        #expect(anywhere.count == 1)
        #expect(anywhere.accept("1 2 12000") && !anywhere.accept("1 2 12001"))
        let whole = try Self.automata((1...3000).map { "* \($0 * 3) *" })
        #expect(whole.count == 1 && whole.accept("5 6 7") && !whole.accept("5 7"))
        // Those that do not are divided among several.
        let rows = try Self.automata((1...3000).map { "\($0) \($0 + 1)" })
        #expect(rows.count > 1)
        #expect(rows.accept("2999 3000") && rows.accept("1 2") && !rows.accept("2 4"))
        // So many that they would take too long to read is none.
        let more = try (1...200).map { try ASPathExpression(".* \($0 * 2) \($0 * 2 + 1) .{7}") }
        #expect(throws: ASPathAutomaton.Problem.tooManyStates) { try ASPathAutomaton.automata(more) }
        #expect(throws: ASPathExpression.Problem.self) {
            try ASPathExpression(String(repeating: "[1-9][0-8][0-8]|", count: 100))
        }
        let pairs = try Self.automata((1...100).map { "_\($0 * 2)_\($0 * 2 + 1)_" })
        #expect(pairs.count == 1 && pairs.accept("7 200 201 3") && !pairs.accept("7 201 200"))
        // As bgpq4 writes what is behind a customer.
        let numbers = (1...3000).map { "\($0 * 7)" }.joined(separator: "|")
        let behind = try Self.automata(["^65001(_65001)*$", "^65001(_[0-9]+)*_(\(numbers))$"])
        #expect(behind.count == 1)
        #expect(behind.accept("65001 9 14") && behind.accept("65001 65001") && !behind.accept("65001 9"))
    }

    // MARK: against a matcher that tries every way

    /// All places at which a match from `at` can end. The path has a letter before its first element and one behind its last.
    private func ends(_ node: ASPathNode, _ path: [[UInt32]], _ at: Int) -> [Int] {
        func distinct(_ values: [Int]) -> [Int] { Array(Set(values)).sorted() }
        switch node {
        case .empty: return [at]
        case .start: return at == 0 ? [1] : []
        case .end: return at == path.count + 1 ? [at + 1] : []
        case .element(let set):
            guard at >= 1, at <= path.count else { return [] }
            return path[at - 1].contains { set.contains(ASNumber($0)) } ? [at + 1] : []
        case .sequence(let nodes):
            return nodes.reduce([at]) { places, node in distinct(places.flatMap { ends(node, path, $0) }) }
        case .choice(let nodes): return distinct(nodes.flatMap { ends($0, path, at) })
        case .repeated(let inner, let low, let high):
            var places = [at]
            for _ in 0..<low { places = distinct(places.flatMap { ends(inner, path, $0) }) }
            var all = places
            for _ in 0..<((high ?? path.count + low + 3) - low) {
                places = distinct(places.flatMap { ends(inner, path, $0) })
                all = distinct(all + places)
            }
            return all
        }
    }
    private func matches(_ expression: ASPathExpression, _ path: [[UInt32]]) -> Bool {
        if expression.isSearched { return (0...(path.count + 1)).contains { !ends(expression.node, path, $0).isEmpty } }
        return ends(expression.node, path, 1).contains(path.count + 1)
    }

    @Test(arguments: 1...80) func `an automaton matches what a search of every way does`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        func text(_ depth: Int, _ isSearched: Bool, _ random: inout RandomNumbers) -> String {
            var parts: [String] = []
            for _ in 0..<random.number(in: 1...3) {
                var part: String
                switch random.number(in: 0...(depth > 0 ? 6 : 4)) {
                case 0...1: part = "\(random.number(in: 1...4))"
                case 2: part = "."
                case 3: part = "[1 \(random.number(in: 2...4))]"
                case 4: part = "\(random.number(in: 1...2))-\(random.number(in: 2...4))"
                case 5: part = "(" + text(depth - 1, isSearched, &random) + ")"
                default:
                    part = "(" + text(depth - 1, isSearched, &random) + "|" + text(depth - 1, isSearched, &random) + ")"
                }
                part += ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}"][random.number(in: 0...8)]
                parts.append(part)
            }
            var result = parts.joined(separator: isSearched && random.chance(1, in: 2) ? "_" : " ")
            if isSearched, random.chance(1, in: 4) { result = "^" + result }
            if isSearched, random.chance(1, in: 4) { result += "$" }
            return result
        }
        for _ in 0..<20 {
            let isSearched = random.chance(1, in: 2)
            let texts = (0..<random.number(in: 1...3)).map { _ in (isSearched ? "_" : "") + text(2, isSearched, &random) }
            let expressions = try texts.map { try ASPathExpression($0) }
            guard let automata = try? ASPathAutomaton.automata(expressions) else { continue }
            for _ in 0..<40 {
                let path = (0..<random.number(in: 0...6)).map { _ in
                    (0..<(random.chance(1, in: 5) ? random.number(in: 1...3) : 1)).map { _ in UInt32(random.number(in: 0...5)) }
                }
                let written = path.map { $0.count == 1 ? "\($0[0])" : "{" + $0.map { "\($0)" }.joined(separator: ",") + "}" }
                let path1 = written.joined(separator: " ")
                #expect(automata.accept(path1) == expressions.contains { matches($0, path) }, "\(texts) of '\(path1)'")
            }
        }
    }

    @Test(arguments: 1...40) func `any text is an expression or is refused`(seed: Int) {
        var random = RandomNumbers(seed: UInt64(seed))
        let letters = Array("0123456789 .*+?|()[]{},-_^$a\\")
        for _ in 0..<300 {
            let text = String((0..<random.number(in: 0...20)).map { _ in letters[random.number(in: 0...letters.count - 1)] })
            guard let expression = try? ASPathExpression(text) else { continue }
            guard let automaton = try? ASPathAutomaton([expression]) else { continue }
            _ = [automaton].accept("1 {2,3} 4")
        }
    }
}
