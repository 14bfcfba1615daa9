import Machine
import Wire

/// Which of many prefix sets a prefix is in, found by one search: prefixes that are in the same sets have the same class.
///
/// All entries lie in one sorted list, each knowing the next shorter one that covers it. The deepest entry that covers a
/// prefix says its class, by the prefix's length.
@usableFromInline
struct PrefixClassifier: Sendable {
    private var v4: Nodes<UInt32>
    private var v6: Nodes<UInt128>
    /// By class: a bit for each set. Class 0 is in none.
    @usableFromInline let members: [UInt64]
    @usableFromInline let wordsPerClass: Int
    /// Classes that there are.
    var count: Int { members.count / wordsPerClass }

    init(_ sets: [[PrefixRange]]) {
        var classes = Classes()
        v4 = Nodes<UInt32>()
        v6 = Nodes<UInt128>()
        var ranges4: [Nodes<UInt32>.Range] = []
        var ranges6: [Nodes<UInt128>.Range] = []
        for (set, entries) in sets.enumerated() {
            for entry in entries {
                switch entry.prefix {
                case .v4(let p):
                    ranges4.append(.init(p.address.raw, p.length, entry.minimumLength, entry.maximumLength, UInt32(set)))
                case .v6(let p):
                    ranges6.append(.init(Self.word(p.address), p.length, entry.minimumLength, entry.maximumLength, UInt32(set)))
                }
            }
        }
        v4.build(ranges4, &classes)
        v6.build(ranges6, &classes)
        wordsPerClass = max(1, (sets.count + 63) / 64)
        var members = [UInt64](repeating: 0, count: classes.sets.count * wordsPerClass)
        for (number, sets) in classes.sets.enumerated() {
            for set in sets { members[number * wordsPerClass + Int(set) / 64] |= 1 << UInt64(set % 64) }
        }
        self.members = members
    }

    private static func word(_ address: IPv6Address) -> UInt128 { UInt128(address.high) << 64 | UInt128(address.low) }

    func classOf(_ prefix: IPPrefix) -> UInt32 {
        switch prefix {
        case .v4(let p): v4.classOf(p.address.raw, p.length)
        case .v6(let p): v6.classOf(Self.word(p.address), p.length)
        }
    }

    @inlinable
    func isMember(_ number: UInt32, of set: Int32) -> Bool {
        members[Int(number) * wordsPerClass + Int(set) / 64] >> UInt64(set % 64) & 1 == 1
    }

    /// Sets of sets, each once.
    private struct Classes {
        /// Members of each class, ascending.
        var sets: [[UInt32]] = [[]]
        private var numbers: [[UInt32]: UInt32] = [[]: 0]
        /// Results of `adding`.
        private var known: [UInt64: UInt32] = [:]

        mutating func adding(_ set: UInt32, to number: UInt32) -> UInt32 {
            let question = UInt64(number) << 32 | UInt64(set)
            if let answer = known[question] { return answer }
            var union = sets[Int(number)]
            if !union.contains(set) {
                union.append(set)
                union.sort()
            }
            let answer = numbers[union] ?? UInt32(sets.count)
            if Int(answer) == sets.count {
                numbers[union] = answer
                sets.append(union)
            }
            known[question] = answer
            return answer
        }
    }

    /// Entries of one address family.
    private struct Nodes<Word: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
        struct Range {
            var address: Word
            var length, minimum, maximum: UInt8
            var set: UInt32
            init(_ address: Word, _ length: UInt8, _ minimum: UInt8, _ maximum: UInt8, _ set: UInt32) {
                self.address = address
                self.length = length
                self.minimum = max(minimum, length)
                self.maximum = maximum
                self.set = set
            }
        }
        /// Ascending by address and length.
        private var addresses: [Word] = []
        private var lengths: [UInt8] = []
        /// The entry that covers it, the longest of these; -1 for none.
        private var parents: [Int32] = []
        /// Where an entry's steps begin; one more at the end.
        private var firstStep: [Int32] = [0]
        /// From this length on a prefix is of this class. The first step of an entry begins at its own length.
        private var stepFrom: [UInt8] = []
        private var stepClass: [UInt32] = []

        private static var bits: Int { Word.bitWidth }

        private func covers(_ node: Int, _ address: Word, _ length: UInt8) -> Bool {
            lengths[node] <= length
                && (lengths[node] == 0 || (address ^ addresses[node]) >> (Self.bits - Int(lengths[node])) == 0)
        }

        func classOf(_ address: Word, _ length: UInt8) -> UInt32 {
            let low = addresses.indices.sortedIndex {
                addresses[$0] < address || addresses[$0] == address && lengths[$0] <= length
            }
            var node = low - 1
            while node >= 0, !covers(node, address, length) { node = Int(parents[node]) }
            return node < 0 ? 0 : classAt(node, length)
        }

        private func classAt(_ node: Int, _ length: UInt8) -> UInt32 {
            var step = Int(firstStep[node])
            let end = Int(firstStep[node + 1])
            while step + 1 < end, stepFrom[step + 1] <= length { step += 1 }
            return stepClass[step]
        }

        mutating func build(_ ranges: [Range], _ classes: inout Classes) {
            let sorted = ranges.sorted { a, b in
                if a.address != b.address { return a.address < b.address }
                return a.length != b.length ? a.length < b.length : (a.set, a.minimum, a.maximum) < (b.set, b.minimum, b.maximum)
            }
            var open: [Int32] = []
            var at = 0
            while at < sorted.count {
                var end = at + 1
                while end < sorted.count, sorted[end].address == sorted[at].address, sorted[end].length == sorted[at].length {
                    end += 1
                }
                while let last = open.last, !covers(Int(last), sorted[at].address, sorted[at].length) { open.removeLast() }
                append(sorted[at..<end], parent: open.last ?? -1, &classes)
                open.append(Int32(addresses.count - 1))
                at = end
            }
        }

        /// An entry, after the one that covers it: of that one's classes, and of its own sets where lengths are in bounds.
        private mutating func append(_ ranges: ArraySlice<Range>, parent: Int32, _ classes: inout Classes) {
            guard let first = ranges.first else { return }
            let length = first.length
            var bounds = [length]
            for range in ranges {
                bounds.append(range.minimum)
                if Int(range.maximum) < Self.bits { bounds.append(range.maximum + 1) }
            }
            if parent >= 0 {
                bounds += stepFrom[Int(firstStep[Int(parent)])..<Int(firstStep[Int(parent) + 1])].filter { $0 > length }
            }
            bounds.sort()
            var last: (from: UInt8, number: UInt32)?
            for from in bounds where last?.from != from && from >= length {
                var number = parent < 0 ? 0 : classAt(Int(parent), from)
                for range in ranges where range.minimum <= from && from <= range.maximum {
                    number = classes.adding(range.set, to: number)
                }
                if let last, last.number == number { continue }
                last = (from, number)
                stepFrom.append(from)
                stepClass.append(number)
            }
            addresses.append(first.address)
            lengths.append(length)
            parents.append(parent)
            firstStep.append(Int32(stepFrom.count))
        }
    }
}

/// A list of prefixes to ask whether one of them covers another prefix.
public struct CoveringPrefixes: Sendable {
    private let classifier: PrefixClassifier

    public init(_ prefixes: [IPPrefix]) { classifier = PrefixClassifier([prefixes.map { PrefixRange.orLonger($0) }]) }

    public func cover(_ prefix: IPPrefix) -> Bool { classifier.classOf(prefix) != 0 }
}
