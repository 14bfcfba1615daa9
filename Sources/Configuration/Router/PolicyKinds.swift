import Policy
import Wire

extension Kind where Value == Bool {
    static var metricType: Kind { .choice([("internal", false), ("external", true), ("1", false), ("2", true)]) }
}
extension Kind where Value == UInt8 {
    /// IS-IS: bits of levels.
    static var levels: Kind { .choice(["1": 1, "2": 2, "1-2": 3]) }
}

extension Kind where Value == ASNumber {
    /// RFC 7607: 0 is no AS.
    static var asNumber: Kind {
        Kind("an AS number") { field in
            guard let text = field.text(1...20, "an AS number") else { return nil }
            guard let number = ASNumber(text) else {
                return field.wrong("'\(text)' is no AS number; write a number from 1 to 4294967295")
            }
            guard number != .zero else { return field.wrong("0 is no AS number; write a number from 1 to 4294967295") }
            if number == .transition {
                return field.wrong("23456 stands for other AS numbers (RFC 6793) and is nobody's own")
            }
            return number
        }
    }
}

extension Kind where Value == Community {
    static var community: Kind { .element("a community; write A:B or a name like no-export") { Community($0) } }
}
extension Kind where Value == ExtendedCommunity {
    static var extendedCommunity: Kind {
        .element(
            "an extended community; write rt:A:B, soo:A:B, link-bandwidth:A:B, origin-validation:valid or 0x and 16 digits"
        ) { ExtendedCommunity($0) }
    }
}
extension Kind where Value == LargeCommunity {
    static var largeCommunity: Kind { .element("a large community; write A:B:C") { LargeCommunity($0) } }
}
extension Kind where Value: CustomStringConvertible {
    fileprivate static func element(_ wanted: String, _ parse: @escaping (String) -> Value?) -> Kind {
        .parsed(wanted, atMost: 60, parse) { "'\($0)' is not \(wanted)" }
    }
}

/// AS numbers and ranges, or names of sets of them.
struct ASChoice: Equatable {
    var numbers: [ClosedRange<UInt32>] = []
    var names: [String] = []

    init() {}

    /// What a condition asks for in that place; `nil`: it is another one.
    init?(_ condition: PolicyCondition, _ place: ASPathPlace) {
        switch (condition, place) {
        case (.originAS(let number), .origin), (.neighborAS(let number), .neighbor), (.asPathContains(let number), .anywhere):
            numbers = [number.raw...number.raw]
        case (.asNumbers(place, let set), _): numbers = set.ranges
        case (.asSet(place, let name), _): names = [name]
        default: return nil
        }
    }

    func condition(_ place: ASPathPlace) -> PolicyCondition {
        if names.isEmpty, numbers.count == 1, let number = numbers.first, number.count == 1 {
            switch place {
            case .neighbor: return .neighborAS(ASNumber(number.lowerBound))
            case .origin: return .originAS(ASNumber(number.lowerBound))
            case .anywhere: return .asPathContains(ASNumber(number.lowerBound))
            case .everywhere: break
            }
        }
        let all =
            names.map { PolicyCondition.asSet(place, $0) }
            + (numbers.isEmpty && !names.isEmpty ? [] : [.asNumbers(place, ASNumberSet(numbers))])
        return all.count == 1 ? all[0] : .any(all.map { [$0] })
    }

    static func kind(_ definitions: PolicyDefinitions) -> Kind<ASChoice> {
        let known = definitions.asSets.map(\.name)
        return Kind(
            values: "AS, AS..AS, the name of an AS set, or a list of these", words: known,
            read: { field in
                guard let list = field.list(atMost: PolicyText.entriesMaximum) else { return nil }
                var choice = ASChoice()
                var isRight = true
                for element in list {
                    if let text = element.scalar, text.first?.isLetter == true {
                        if let name = Kind<String>.known("AS set", known).read(element) {
                            choice.names.append(name)
                            continue
                        }
                    } else if let range = Kind<ClosedRange<UInt32>>.asRange.read(element) {
                        choice.numbers.append(range)
                        continue
                    }
                    isRight = false
                }
                if list.isEmpty { return field.wrong("an AS number is expected") }
                return isRight ? choice : nil
            },
            text: { choice in
                let texts = choice.names.map(YAMLWriter.scalar) + choice.numbers.map(Kind<ClosedRange<UInt32>>.asRange.text)
                return texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]"
            })
    }
}

extension Kind where Value == ClosedRange<UInt32> {
    /// `AS`, `AS..AS` or `AS-AS`
    static var asRange: Kind {
        Kind(
            values: "AS or AS..AS",
            read: { field in
                guard let text = field.text(1...40, "an AS number") else { return nil }
                let parts =
                    text.contains("..")
                    ? text.split(separator: "..", omittingEmptySubsequences: false)
                    : text.split(separator: "-", omittingEmptySubsequences: false)
                guard parts.count == 2 else { return Kind<ASNumber>.asNumber.read(field).map { $0.raw...$0.raw } }
                guard let low = ASNumber(parts[0]), let high = ASNumber(parts[1]), low <= high, low != .zero else {
                    return field.wrong("'\(text)' is no range of AS numbers; write it like 64512..65534")
                }
                return low.raw...high.raw
            }, text: { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)..\($0.upperBound)" })
    }
}

extension ASSelection {
    static func kind(_ definitions: PolicyDefinitions) -> Kind<ASSelection> {
        let words: [(word: String, value: ASSelection)] = [("private", .isPrivate), ("all", .all)]
        let choice = ASChoice.kind(definitions)
        return Kind(
            values: "private, all, AS, AS..AS, a list of these or the name of an AS set",
            words: words.map(\.word) + definitions.asSets.map(\.name),
            read: { field in
                if let word = words.first(where: { $0.word == field.scalar }) { return word.value }
                guard let read = choice.read(field) else { return nil }
                if read.names.isEmpty { return .numbers(ASNumberSet(read.numbers)) }
                guard read.numbers.isEmpty, read.names.count == 1 else {
                    return field.wrong("write numbers or the name of one AS set")
                }
                return .set(read.names[0])
            },
            text: { selection in
                switch selection {
                case .isPrivate: return "private"
                case .all: return "all"
                case .numbers(let set):
                    var own = ASChoice()
                    own.numbers = set.ranges
                    return choice.text(own)
                case .set(let name): return YAMLWriter.scalar(name)
                }
            })
    }
}

/// Prefixes of these lengths, of both address families where the numbers allow it.
struct PrefixLengths: Equatable {
    var lengths: ClosedRange<UInt8>

    var ranges: [PrefixRange] {
        let everywhere = [IPPrefix.v4(IPv4Prefix(.any, 0)), .v6(IPv6Prefix(.any, 0))]
        return everywhere.compactMap { prefix in
            let highest = min(lengths.upperBound, prefix.family == .ipv4 ? 32 : 128)
            guard lengths.lowerBound <= highest else { return nil }
            return PrefixRange(prefix, minimumLength: lengths.lowerBound, maximumLength: highest)
        }
    }

    init(_ lengths: ClosedRange<UInt8>) { self.lengths = lengths }

    /// `nil`: they are of other prefixes, too.
    init?(_ ranges: [PrefixRange]) {
        guard let last = ranges.last, last.prefix == .v6(IPv6Prefix(.any, 0)), last.minimumLength <= last.maximumLength else {
            return nil
        }
        self.init(last.minimumLength...last.maximumLength)
        guard self.ranges == ranges else { return nil }
    }

    static var kind: Kind<PrefixLengths> {
        Kind<ClosedRange<UInt8>>.range(0...128).mapped({ PrefixLengths($0) }, back: { $0.lengths })
    }
}

extension IPPrefix {
    /// That address alone.
    static func host(_ address: IPAddress) -> IPPrefix { IPPrefix(address, 128) }
    var isHost: Bool { length == (family == .ipv4 ? 32 : 128) }
}
