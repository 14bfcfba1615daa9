import Machine
import Testing
import Wire

@testable import Policy

@Suite struct PrefixClassifierTests {
    private static func range4(_ random: inout RandomNumbers) -> PrefixRange {
        let length = UInt8(random.number(in: 0...28))
        let prefix = IPv4Prefix(
            IPv4Address(raw: UInt32(random.number(in: 0...7)) << 29 | UInt32(random.number(in: 0...15)) << 20), length)
        let low = random.number(in: Int(length)...32)
        return PrefixRange(.v4(prefix), minimumLength: UInt8(low), maximumLength: UInt8(random.number(in: low...32)))
    }
    private static func range6(_ random: inout RandomNumbers) -> PrefixRange {
        let length = UInt8(random.number(in: 0...100))
        let prefix = IPv6Prefix(
            IPv6Address(high: UInt64(random.number(in: 0...3)) << 62 | UInt64(random.number(in: 0...7)), low: .max), length)
        let low = random.number(in: Int(length)...128)
        return PrefixRange(.v6(prefix), minimumLength: UInt8(low), maximumLength: UInt8(random.number(in: low...128)))
    }

    @Test(arguments: 1...30)
    func `a class is in those sets in which a walk over the entries finds the prefix`(seed: Int) {
        var random = RandomNumbers(seed: UInt64(seed))
        let sets = (0..<random.number(in: 1...(seed % 5 == 0 ? 150 : 6))).map { _ in
            (0..<random.number(in: 0...12)).map { _ in
                random.chance(1, in: 2) ? Self.range4(&random) : Self.range6(&random)
            }
        }
        let classifier = PrefixClassifier(sets)
        for _ in 0..<400 {
            let candidate = random.chance(1, in: 2) ? Self.range4(&random).prefix : Self.range6(&random).prefix
            let found = classifier.classOf(candidate)
            for (number, entries) in sets.enumerated() {
                #expect(
                    classifier.isMember(found, of: Int32(number)) == entries.contains { $0.contains(candidate) },
                    "\(candidate) in set \(number)")
            }
        }
    }

    @Test func `prefixes that are in the same sets have one class, and those in none have class 0`() {
        let classifier = PrefixClassifier([
            [PrefixRange(IPPrefix("10.0.0.0/8")!, minimumLength: 16, maximumLength: 24), .orLonger(IPPrefix("20.0.0.0/8")!)],
            [.orLonger(IPPrefix("2001:db8::/32")!), .orLonger(IPPrefix("10.0.0.0/7")!)],
        ])
        func number(_ text: String) -> UInt32 { classifier.classOf(IPPrefix(text)!) }
        #expect(number("0.0.0.0/0") == 0 && number("::/0") == 0 && number("12.0.0.0/8") == 0)
        #expect(number("2001:db8::/32") == number("10.0.0.0/8"))
        #expect(number("10.1.0.0/16") == number("10.1.1.0/24") && number("10.1.0.0/16") != number("10.0.0.0/8"))
        #expect(number("10.1.1.1/32") == number("11.0.0.0/8"))
        #expect(classifier.count == 4)
    }
}
