import Machine
import Routing
import Testing
import Wire

@testable import BGP

/// The one codec of each family's NLRI.
@Suite struct NLRITests {
    static func octets<Family: RoutedFamily>(_: Family.Type, _ key: Family.Key.Packed, label: UInt32 = 0) -> [UInt8] {
        var octets = [UInt8](repeating: 0xee, count: Family.sizeMaximum)
        let size = unsafe octets.withUnsafeMutableBufferPointer { unsafe Family.write(key, label: label, to: $0.baseAddress!) }
        #expect(size == Family.size(key))
        return Array(octets[..<size])
    }

    static func read<Family: RoutedFamily>(
        _: Family.Type, _ octets: [UInt8], at offset: Int = 0
    ) -> (key: Family.Key.Packed, label: UInt32, size: Int)? {
        Family.read(octets.span.bytes, at: offset)
    }
    static func isSound(_ family: any RoutedFamily.Type, _ octets: [UInt8], hasPathIDs: Bool) -> Bool {
        family.isSound(octets.span.bytes, hasPathIDs: hasPathIDs)
    }

    /// Keys of every length.
    static func keys<Family: RoutedFamily>(_: Family.Type, _ random: inout RandomNumbers) -> [Family.Key] {
        (0...Family.Key.lengthMaximum).map { length in
            let full: Family.Key =
                switch Family.Key.self {
                case is IPv4Prefix.Type:
                    IPv4Prefix(IPv4Address(raw: UInt32(truncatingIfNeeded: random.next())), 32) as! Family.Key
                case is IPv6Prefix.Type: IPv6Prefix(IPv6Address(high: random.next(), low: random.next()), 128) as! Family.Key
                default: E164Prefix("+" + (0..<15).map { _ in "\(random.number(in: 0...9))" }.joined())! as! Family.Key
                }
            return full.shortened(to: length)
        }
    }

    private func roundTrip<Family: RoutedFamily>(_ family: Family.Type) throws {
        var random = RandomNumbers(seed: UInt64(Family.family.rawValue) + 1)
        var field: [UInt8] = [], withIDs: [UInt8] = []
        let keys = Self.keys(family, &random)
        for key in keys {
            let label = Family.hasLabels ? LabelField.octets(UInt32(random.number(in: 0...0xf_ffff))) : 0
            let octets = Self.octets(family, key.packed, label: label)
            // Alone, and before others.
            for tail: [UInt8] in [[], [0xff, 0xff, 0xff, 0xff, 0xff]] {
                let read = try #require(Self.read(family, octets + tail))
                #expect(read.key == key.packed && read.label == label && read.size == octets.count)
            }
            // Cut short at any place it is nothing.
            for end in 1..<octets.count { #expect(Self.read(family, Array(octets[..<end])) == nil) }
            // What lies beyond the length means nothing.
            var dirty = octets
            if dirty.count > 1, octets[0] % 8 != 0 {
                dirty[dirty.count - 1] |= UInt8(truncatingIfNeeded: 0xff >> UInt32(octets[0] % 8))
                #expect(Self.read(family, dirty)?.key == key.packed)
            }
            field += octets
            withIDs += Build.u32(UInt32(truncatingIfNeeded: random.next())) + octets
        }
        #expect(Self.isSound(family, field, hasPathIDs: false))
        #expect(Self.isSound(family, withIDs, hasPathIDs: true))
        #expect(!Self.isSound(family, (withIDs + [0, 0, 0, 1]), hasPathIDs: true))
        #expect(!Self.isSound(family, (withIDs + [0, 0]), hasPathIDs: true))
        // An octet altered anywhere is read or refused, never more than is there; and what is read comes back.
        for _ in 0..<4000 {
            var mutant = field
            mutant[random.number(in: 0...(mutant.count - 1))] = UInt8(truncatingIfNeeded: random.next())
            mutant.removeLast(random.number(in: 0...3))
            var i = 0
            var isSound = true
            while i < mutant.count {
                guard let (key, label, size) = Self.read(family, mutant, at: i) else {
                    isSound = false
                    break
                }
                #expect(size > 0 && i + size <= mutant.count)
                let again = Self.octets(family, key, label: label)
                #expect(again.count == size)
                #expect(Self.read(family, again)?.key == key)
                #expect(Family.Key.length(of: key) <= Family.Key.lengthMaximum && key != Family.Key.vacant)
                i += size
            }
            #expect(Self.isSound(family, mutant, hasPathIDs: false) == isSound)
        }
    }

    @Test func `every length comes back with what lies beyond it cleared, and nothing malformed is read`() throws {
        for family in RouteFamily.allCases { try roundTrip(family.type) }
    }

    @Test func `the octets are those of the documents`() {
        #expect(Self.octets(IPv4Unicast.self, IPv4Prefix("10.1.240.0/20")!.packed) == [20, 10, 1, 0xf0])
        #expect(Self.octets(IPv6Unicast.self, IPv6Prefix("2001:db8::/29")!.packed) == [29, 0x20, 0x01, 0x0d, 0xb8])
        // RFC 8277 §2.2: 24 bits of label field and 16 of prefix; label 100, bottom of stack.
        let labelled = Self.octets(IPv4LabelledUnicast.self, IPv4Prefix("10.1.0.0/16")!.packed, label: LabelField.octets(100))
        #expect(labelled == [40, 0, 6, 0x41, 10, 1])
        // A length that leaves no room for the label.
        for bits: UInt8 in [0, 8, 23, 57] {
            #expect(Self.read(IPv4LabelledUnicast.self, [bits, 0, 6, 0x41, 10, 1, 2, 3, 4, 5]) == nil)
        }
        #expect(Self.octets(E164.self, E164Prefix("+4930")!.packed) == [16, 0x49, 0x30])
        #expect(Self.octets(E164.self, E164Prefix("+493")!.packed) == [12, 0x49, 0x30])
        #expect(Self.octets(E164.self, E164Prefix("+")!.packed) == [0])
        // Half a digit, a digit above nine, sixteen digits.
        for octets: [UInt8] in [[6, 0x49], [8, 0x4a], [8, 0xf0], [64, 1, 2, 3, 4, 5, 6, 7, 8]] {
            #expect(Self.read(E164.self, octets) == nil)
        }
        // In the half octet behind the last digit anything may stand.
        #expect(Self.read(E164.self, [12, 0x49, 0x3f])?.key == E164Prefix("+493")!.packed)
    }

    @Test func `digits are told apart by their length, ordered, and cut`() {
        let texts = ["+", "+1", "+12", "+120", "+13", "+2", "+493", "+4930", "+49300", "+999999999999999"]
        let keys = texts.map { E164Prefix($0)! }
        #expect(keys.map(\.description) == texts)
        #expect(keys.sorted() == keys)
        #expect(E164Prefix("+4930123")!.shortened(to: 4) == E164Prefix("+4930"))
        for text in ["", "49", "+4a", "+1234567890123456", "++1"] { #expect(E164Prefix(text) == nil) }
        #expect(RouteDestination(.e164, "+4930")?.description == "+4930")
        #expect(RouteDestination(.e164, "10.0.0.0/8") == nil && RouteDestination(.e164, "+4930")?.prefix == nil)
        #expect(RouteDestination(.ipv6LabelledUnicast, "2001:db8::/32")?.prefix == IPPrefix("2001:db8::/32"))
    }

    @Test func `a family is found by its code, and every code is one family's`() {
        for family in RouteFamily.allCases {
            #expect(RouteFamily(family.code) == family)
            #expect(family.type.family == family)
            #expect(RouteFamily(rawValue: family.rawValue) == family)
        }
        #expect(Set(RouteFamily.allCases.map(\.code)).count == Int(RouteFamily.count))
        #expect(Set(RouteFamily.allCases.map(\.description)).count == Int(RouteFamily.count))
        #expect(RouteFamily(afi: 1, safi: 128) == nil && RouteFamily(rawValue: RouteFamily.count) == nil)
        #expect(RouteFamily.e164.code == FamilyCode(afi: 8, safi: 1))
    }

    @Test("packing fills messages to the limit and loses no prefix", arguments: [4096, 65535])
    func packing(limit: Int) throws {
        try packing(IPv4Unicast.self, (0..<5000).map { IPv4Prefix(IPv4Address(raw: 0x0a00_0000 + UInt32($0) << 8), 24) }, limit)
        try packing(
            IPv6Unicast.self, (0..<3000).map { IPv6Prefix(IPv6Address(high: 0x2001_0db8_0000_0000 + UInt64($0), low: 0), 64) },
            limit)
        try packing(
            IPv4LabelledUnicast.self, (0..<5000).map { IPv4Prefix(IPv4Address(raw: 0x0a00_0000 + UInt32($0) << 8), 24) }, limit)
        try packing(E164.self, (10000..<15000).map { E164Prefix("+49\($0)")! }, limit)
    }

    private func packing<Family: RoutedFamily>(_ family: Family.Type, _ keys: [Family.Key], _ limit: Int) throws {
        var table = PrefixTable<Family.Key>(seed: 1)
        for key in keys { _ = table.insert(key) }
        let numbers = (0..<UInt32(keys.count)).map { $0 }
        var frame = MessageBuilder.Frame(lead: [])
        let attributes = Build.origin + Build.path4(1, 2, 3)
        let isMade = MessageBuilder.setAnnouncement(&frame, Family.code, hasOwnFields: Family.hasOwnFields) { out in
            out += attributes
            var result = ExportEncoder.Result()
            if Family.hasOwnFields {
                out += Build.nextHop
            } else {
                result.nextHop = Family.nextHops.contains(.ipv4) ? IPAddress("10.0.0.2") : IPAddress("2001:db8::2")
            }
            return result
        }
        #expect(isMade)
        let withdrawal = MessageBuilder.withdrawal(family)
        for hasPathIDs in [false, true] {
            var builder = MessageBuilder(maximum: limit)
            let items = numbers.map {
                ExportItem(handle: 1, number: $0, id: $0 % 7, label: $0, receivers: .all)
            }
            let gone = numbers.map { ExportItem(handle: 0, number: $0, id: $0 % 7, label: 0, receivers: .all) }
            if hasPathIDs || Family.hasLabels {
                builder.append(family, items[...], frame, .all, table, hasPathIDs: hasPathIDs)
                builder.append(family, gone[...], withdrawal, .all, table, hasPathIDs: hasPathIDs)
            } else {
                builder.append(family, numbers[...], frame, .all, table)
                builder.append(family, numbers[...], withdrawal, .all, table)
            }
            var reached: [Family.Key] = [], withdrawn: [Family.Key] = []
            var position = 0, short = 0
            let bytes = builder.octets
            while position < bytes.count {
                let header = try MessageHeader(bytes.span.bytes, at: position, extended: limit > 4096)
                #expect(header.length <= limit)
                if header.length + Family.sizeMaximum + 4 <= limit { short += 1 }
                let update = try UpdateMessage(
                    body: bytes.span.bytes.extracting((position + 19)..<(position + header.length)),
                    context: Build.context(families: RouteFamilySet(Family.family)))
                position += header.length
                // RFC 7606 §5.1: one kind of thing each.
                let kinds = [
                    !update.withdrawn.isEmpty, !update.nlri.isEmpty, update.reachFamily != nil, update.unreachFamily != nil,
                ]
                #expect(kinds.count { $0 } == 1)
                #expect(update.reachFamily.map { $0 == Family.family } ?? true)
                func read(_ span: RawSpan, _ list: inout [Family.Key], isWithdrawn: Bool) {
                    var i = 0
                    while i < span.byteCount {
                        if hasPathIDs {
                            let id = span.u32(i)
                            #expect(id == UInt32(list.count) % 7)
                            i += 4
                        }
                        guard let (key, label, size) = Family.read(span, at: i) else { return }
                        if Family.hasLabels {
                            #expect(label == (isWithdrawn ? 0x80_0000 : LabelField.octets(UInt32(list.count))))
                        }
                        list.append(Family.Key(packed: key))
                        i += size
                    }
                }
                read(update.nlri, &reached, isWithdrawn: false)
                read(update.reachNLRI, &reached, isWithdrawn: false)
                read(update.withdrawn, &withdrawn, isWithdrawn: true)
                read(update.unreachNLRI, &withdrawn, isWithdrawn: true)
            }
            #expect(reached == keys)
            #expect(withdrawn == keys)
            // Only the last of each kind may have room left.
            #expect(short <= 2)
        }
        // Attributes that leave no room for a prefix.
        frame.trail = [UInt8](repeating: 0, count: limit - 19 - frame.lead.count)
        #expect(!MessageBuilder(maximum: limit).fits(frame, prefixSize: Family.sizeMaximum))
    }
}
