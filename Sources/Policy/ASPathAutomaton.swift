import Machine
import Wire

/// Expressions over AS paths made ready to run: a deterministic automaton whose letters are classes of AS numbers that no
/// expression tells apart. A path is read once, whatever the expressions are.
///
/// Built whole, so that what it costs is known when the configuration is read: at most `statesMaximum` states.
public struct ASPathAutomaton: Sendable {
    /// States of one automaton.
    static let statesMaximum = 1024
    /// Automata of one set.
    static let automataMaximum = 32
    /// Places in its table of transitions.
    static let transitionsMaximum = 1 << 20

    /// Nothing that follows is matched.
    private static let dead: UInt16 = 0
    /// Whatever follows is matched.
    private static let done: UInt16 = 1

    /// Where each class of numbers begins, ascending from 0.
    private let classes: [UInt32]
    /// By state and class.
    private let transitions: [UInt16]
    /// By state: a path that ends here is matched.
    private let acceptsEnd: [Bool]
    private let start: UInt16

    /// Where in a path a reader is.
    public struct Cursor: Sendable {
        fileprivate var state: UInt16
        /// After an AS_SET: a bit for each state in which the reader may be; empty while there is one.
        fileprivate var others = StateSet()
        fileprivate var isSpread = false
    }

    fileprivate struct StateSet: Sendable {
        private var words = InlineArray<16, UInt64>(repeating: 0)

        mutating func insert(_ state: UInt16) { words[Int(state) / 64] |= 1 << UInt64(state % 64) }

        /// Until `body` says that it has seen enough.
        func forEach(_ body: (UInt16) -> Bool) {
            for i in 0..<16 {
                var word = words[i]
                while word != 0 {
                    if body(UInt16(i * 64 + word.trailingZeroBitCount)) { return }
                    word &= word - 1
                }
            }
        }
    }

    public var beginning: Cursor { Cursor(state: start) }

    /// Whether the rest of the path does not matter any more.
    public func isDecided(_ cursor: Cursor) -> Bool { !cursor.isSpread && cursor.state <= Self.done }

    private func next(_ state: UInt16, _ number: UInt32) -> UInt16 {
        let letter = classes.sortedIndex { $0 <= number } - 1
        return transitions[Int(state) * classes.count + letter]
    }

    /// Reads an AS of a sequence.
    public func read(_ number: UInt32, _ cursor: inout Cursor) { read(anyOf: 1, { _ in number }, &cursor) }

    /// Reads an element that can be any of `count` ASes: an AS_SET. One without members is passed over.
    public func read(anyOf count: Int, _ number: (Int) -> UInt32, _ cursor: inout Cursor) {
        if count == 1, !cursor.isSpread {
            cursor.state = next(cursor.state, number(0))
            return
        }
        guard count > 0, !isDecided(cursor) else { return }
        var reached = StateSet()
        var first: UInt16?
        var isOne = true
        var isDone = false
        func step(_ state: UInt16) -> Bool {
            for i in 0..<count {
                let state = next(state, number(i))
                if state == Self.dead { continue }
                if state == Self.done {
                    isDone = true
                    return true
                }
                reached.insert(state)
                if let first, first != state { isOne = false }
                first = state
            }
            return false
        }
        if cursor.isSpread { cursor.others.forEach(step) } else { _ = step(cursor.state) }
        cursor.isSpread = !isDone && !isOne
        cursor.state = isDone ? Self.done : first ?? Self.dead
        cursor.others = reached
    }

    /// Whether a path that ends here is matched.
    public func accepts(_ cursor: Cursor) -> Bool {
        guard cursor.isSpread else { return acceptsEnd[Int(cursor.state)] }
        var accepts = false
        cursor.others.forEach {
            accepts = acceptsEnd[Int($0)]
            return accepts
        }
        return accepts
    }

    /// Why expressions are no automaton.
    public enum Problem: Error, Hashable, Sendable, CustomStringConvertible {
        case tooLong
        case tooManyStates
        case empty

        public var description: String {
            switch self {
            case .tooLong: "it is too long with its repetitions written out"
            case .tooManyStates: "it has too many possibilities at a time; write less behind '.*', or a lower repetition"
            case .empty: "no path can match this"
            }
        }
    }

    /// One that matches what any of the expressions does.
    public init(_ expressions: [ASPathExpression]) throws(Problem) {
        let machine = try ASPathMachine(expressions)
        var builder = ASPathSubsets(machine)
        try builder.build()
        classes = machine.classes
        transitions = builder.transitions
        acceptsEnd = builder.acceptsEnd
        start = builder.start
    }

    /// As few as it takes, at most `automataMaximum`: expressions that are too much for one automaton are divided among several.
    public static func automata(_ expressions: [ASPathExpression]) throws(Problem) -> [ASPathAutomaton] {
        var result: [ASPathAutomaton] = []
        try add(expressions[...], to: &result)
        return result
    }

    private static func add(
        _ expressions: ArraySlice<ASPathExpression>, to result: inout [ASPathAutomaton]
    ) throws(Problem) {
        if expressions.isEmpty { return }
        do {
            let automaton = try ASPathAutomaton(Array(expressions))
            result.append(automaton)
        } catch {
            guard expressions.count > 1, error != .empty else { throw error }
            let middle = expressions.startIndex + expressions.count / 2
            try add(expressions[..<middle], to: &result)
            try add(expressions[middle...], to: &result)
        }
        if result.count > automataMaximum { throw .tooManyStates }
    }
}

/// Expressions as a machine that may be in several states at once (Thompson's construction). The path has a letter before its
/// first AS and one behind its last, so that `^` and `$` are letters like others.
private struct ASPathMachine {
    static let nodesMaximum = 8_192

    enum State {
        /// Goes on without reading; -1: not at all.
        case split(Int32, Int32)
        case reads(ASNumberSet, Int32)
        case readsStart(Int32)
        case readsEnd(Int32)
        /// Whatever follows is matched.
        case accept
    }
    private(set) var states: [State] = [.accept]
    /// Where reading begins.
    private(set) var entries: [Int32] = []
    /// See `ASPathAutomaton.classes`.
    let classes: [UInt32]
    static let accept: Int32 = 0

    init(_ expressions: [ASPathExpression]) throws(ASPathAutomaton.Problem) {
        var bounds: [UInt32] = [0]
        let branches = Self.merged(expressions)
        for branch in branches { Self.note(branch.node, &bounds) }
        bounds.sort()
        var distinct: [UInt32] = []
        for bound in bounds where distinct.last != bound { distinct.append(bound) }
        classes = distinct
        for branch in branches {
            // What is looked for may end anywhere; a whole path ends with its end.
            let last = branch.isOpen ? Self.accept : try add(.readsEnd(Self.accept))
            let body = try add(branch.node, before: last)
            if branch.isSearched {
                let loop = try add(.split(body, -1))
                let skip = try add(.reads(.everything, loop))
                let start = try add(.readsStart(loop))
                let both = try add(.split(skip, start))
                states[Int(loop)] = .split(body, both)
                entries.append(loop)
            } else {
                entries.append(try add(.readsStart(body)))
            }
        }
    }

    private struct Branch: Hashable {
        var node: ASPathNode
        var isSearched: Bool
        /// Whatever follows is matched.
        var isOpen: Bool
    }

    /// Alternatives of all expressions. Those that differ in one AS alone become one with a set of these: `_1_`, `_2_`, … are as
    /// quick to look for as one of them.
    private static func merged(_ expressions: [ASPathExpression]) -> [Branch] {
        var result: [Branch] = []
        var known: [Branch: Int] = [:]
        var places: [Int: Int] = [:]
        for expression in expressions {
            for node in expression.node.branches {
                var row = node.row
                var isOpen = expression.isSearched
                while !expression.isSearched, row.last == .anything {
                    row.removeLast()
                    isOpen = true
                }
                let branch = Branch(node: .row(row), isSearched: expression.isSearched, isOpen: isOpen)
                let own = row.indices.filter { if case .element(let set) = row[$0] { set != .everything } else { false } }
                guard own.count == 1, case .element(let set) = row[own[0]] else {
                    result.append(branch)
                    continue
                }
                var shape = branch
                row[own[0]] = .element(ASNumberSet([]))
                shape.node = .row(row)
                if let at = known[shape], let place = places[at] {
                    var merged = result[at].node.row
                    if case .element(let before) = merged[place] { merged[place] = .element(before.union(set)) }
                    result[at].node = .row(merged)
                } else {
                    known[shape] = result.count
                    places[result.count] = own[0]
                    result.append(branch)
                }
            }
        }
        return result
    }

    private static func note(_ node: ASPathNode, _ bounds: inout [UInt32]) {
        switch node {
        case .element(let set):
            for range in set.ranges {
                bounds.append(range.lowerBound)
                if range.upperBound < .max { bounds.append(range.upperBound + 1) }
            }
        case .sequence(let nodes), .choice(let nodes):
            for node in nodes { note(node, &bounds) }
        case .repeated(let inner, _, _): note(inner, &bounds)
        case .empty, .start, .end: break
        }
    }

    private mutating func add(_ state: State) throws(ASPathAutomaton.Problem) -> Int32 {
        guard states.count < Self.nodesMaximum else { throw .tooLong }
        states.append(state)
        return Int32(states.count - 1)
    }

    /// The state from which the node is read and then `next` reached.
    private mutating func add(_ node: ASPathNode, before next: Int32) throws(ASPathAutomaton.Problem) -> Int32 {
        switch node {
        case .empty: return next
        case .element(let set): return try add(.reads(set, next))
        case .start: return try add(.readsStart(next))
        case .end: return try add(.readsEnd(next))
        case .sequence(let nodes):
            var at = next
            for node in nodes.reversed() { at = try add(node, before: at) }
            return at
        case .choice(let nodes):
            var at: Int32 = -1
            for node in nodes.reversed() {
                let branch = try add(node, before: next)
                at = at < 0 ? branch : try add(.split(branch, at))
            }
            return at
        case .repeated(let inner, let low, let high):
            var at = next
            if let high {
                for _ in low..<high { at = try add(.split(try add(inner, before: at), next)) }
            } else {
                let loop = try add(.split(-1, next))
                states[Int(loop)] = .split(try add(inner, before: loop), next)
                at = loop
            }
            for _ in 0..<low { at = try add(inner, before: at) }
            return at
        }
    }
}

/// The sets of states in which a machine can be, each of which is one state of the automaton.
private struct ASPathSubsets {
    private let machine: ASPathMachine
    private(set) var transitions: [UInt16] = []
    private(set) var acceptsEnd: [Bool] = []
    private(set) var start: UInt16 = 0
    private var numbers: [[Int32]: UInt16] = [:]
    /// By number: states from which all others of the set are reached without reading.
    private var kernels: [[Int32]] = []
    /// By state of the machine: the one of `closure` that reached it last.
    private var marks: [Int32]
    private var mark: Int32 = 0

    /// By state of the machine: without reading anything it has matched.
    private var isMatched: [Bool]

    init(_ machine: ASPathMachine) {
        self.machine = machine
        marks = Array(repeating: 0, count: machine.states.count)
        isMatched = Array(repeating: false, count: machine.states.count)
        isMatched[Int(ASPathMachine.accept)] = true
        // Most states come behind those that they lead to, so this takes two or three rounds.
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for (i, state) in machine.states.enumerated() where !isMatched[i] {
                guard case .split(let a, let b) = state else { continue }
                if a >= 0 && isMatched[Int(a)] || b >= 0 && isMatched[Int(b)] {
                    isMatched[i] = true
                    hasChanged = true
                }
            }
        }
    }

    mutating func build() throws(ASPathAutomaton.Problem) {
        _ = try number([])
        _ = try number([ASPathMachine.accept])
        acceptsEnd[1] = true
        for letter in machine.classes.indices { transitions[machine.classes.count + letter] = 1 }
        // The letter before the first AS.
        var first: [Int32] = []
        for state in closure(machine.entries) {
            if case .readsStart(let next) = machine.states[Int(state)] { first.append(next) }
            if state == ASPathMachine.accept { first.append(state) }
        }
        start = try number(first)
        var at = 2
        while at < kernels.count {
            try fill(at)
            at += 1
        }
        guard start == 1 || acceptsEnd[2...].contains(true) || transitions[(2 * machine.classes.count)...].contains(1) else {
            throw .empty
        }
    }

    /// All states that are reached without reading.
    private mutating func closure(_ kernel: [Int32]) -> [Int32] {
        mark += 1
        var found: [Int32] = []
        var waiting = kernel
        while let state = waiting.popLast() {
            guard state >= 0, marks[Int(state)] != mark else { continue }
            marks[Int(state)] = mark
            found.append(state)
            if case .split(let a, let b) = machine.states[Int(state)] { waiting += [a, b] }
        }
        return found
    }

    private mutating func number(_ states: [Int32]) throws(ASPathAutomaton.Problem) -> UInt16 {
        var kernel = states.sorted()
        var distinct: [Int32] = []
        for state in kernel where distinct.last != state { distinct.append(state) }
        kernel = distinct.contains { isMatched[Int($0)] } ? [ASPathMachine.accept] : distinct
        if let known = numbers[kernel] { return known }
        guard kernels.count < ASPathAutomaton.statesMaximum,
            (kernels.count + 1) * machine.classes.count <= ASPathAutomaton.transitionsMaximum
        else { throw .tooManyStates }
        let number = UInt16(kernels.count)
        numbers[kernel] = number
        kernels.append(kernel)
        acceptsEnd.append(false)
        transitions.append(contentsOf: repeatElement(0, count: machine.classes.count))
        return number
    }

    /// Where the state at `at` goes with each letter.
    private mutating func fill(_ at: Int) throws(ASPathAutomaton.Problem) {
        /// A state begins, or ends, to be reached with the letters from here on.
        var events: [(letter: Int, isEnter: Bool, target: Int32)] = []
        var ends: [Int32] = []
        for state in closure(kernels[at]) {
            switch machine.states[Int(state)] {
            case .reads(let set, let next):
                for range in set.ranges {
                    events.append((letter(range.lowerBound), true, next))
                    if range.upperBound < .max { events.append((letter(range.upperBound + 1), false, next)) }
                }
            case .readsEnd(let next): ends.append(next)
            case .readsStart, .split, .accept: break
            }
        }
        acceptsEnd[at] = ends.contains { isMatched[Int($0)] }
        events.sort { ($0.letter, $0.target, $0.isEnter ? 0 : 1) < ($1.letter, $1.target, $1.isEnter ? 0 : 1) }
        var targets: [Int32] = []
        var i = 0
        while i < events.count {
            let letter = events[i].letter
            while i < events.count, events[i].letter == letter {
                if events[i].isEnter {
                    targets.append(events[i].target)
                } else if let place = targets.firstIndex(of: events[i].target) {
                    targets.remove(at: place)
                }
                i += 1
            }
            let end = i < events.count ? events[i].letter : machine.classes.count
            let number = try number(targets)
            let row = at * machine.classes.count
            for k in letter..<end { transitions[row + k] = number }
        }
    }

    private func letter(_ number: UInt32) -> Int { machine.classes.sortedIndex { $0 <= number } - 1 }
}
