import Machine
import Testing

private enum Shape: Codable, Hashable {
    case point
    case circle(radius: UInt32)
    case named(String, Int)
}

private enum Colour: UInt8, Codable { case red = 1, green = 2 }

private struct Inner: Codable, Hashable {
    var flag = true
    var name = "ä name"
    var maybe: UInt16?
}

private struct Outer: Codable, Hashable {
    var small: Int8 = -128
    var least = Int64.min
    var greatest = UInt64.max
    var zero: UInt8 = 0
    var octets: [UInt8] = [0, 1, 255]
    var inners = [Inner(), Inner(flag: false, name: "", maybe: 7)]
    var shapes: [Shape] = [.point, .circle(radius: 9), .named("x", -1)]
    var colour = Colour.green
    var nested: [[Int]] = [[], [1, -2], []]
    var optional: Inner?
}

private struct NewerInner: Codable, Hashable {
    var flag = true
    var added: String? = "new"
    var name = "n"
    var maybe: UInt16?
}

private struct Deep: Codable { var next: [Deep] }

@Suite struct BinaryCodingTests {
    @Test func `a value comes back as it was`() throws {
        let bytes = try BinaryEncoder().encode(Outer())
        #expect(try BinaryDecoder().decode(Outer.self, from: bytes) == Outer())
    }

    @Test func `scalars and lists are values too`() throws {
        #expect(try BinaryDecoder().decode(UInt8.self, from: BinaryEncoder().encode(UInt8(7))) == 7)
        #expect(try BinaryDecoder().decode([String?].self, from: BinaryEncoder().encode(["a", nil])) == ["a", nil])
    }

    @Test func `the octets of a small record are the ones of the description`() throws {
        #expect(
            try BinaryEncoder().encode([Inner(flag: true, name: "a", maybe: nil), Inner(flag: false, name: "", maybe: nil)]) == [
                8, 2,
                9, 2, 0, 4, 0x66, 0x6c, 0x61, 0x67, 2, 0, 4, 0x6e, 0x61, 0x6d, 0x65, 6, 1, 0x61,
                9, 2, 1, 1, 2, 6, 0,
            ])
    }

    @Test func `an older reader passes over a new field and a newer reader finds nothing`() throws {
        let newer = try BinaryEncoder().encode(NewerInner())
        #expect(try BinaryDecoder().decode(Inner.self, from: newer) == Inner(flag: true, name: "n", maybe: nil))
        let older = try BinaryEncoder().encode(Inner(flag: false, name: "o", maybe: 3))
        #expect(
            try BinaryDecoder().decode(NewerInner.self, from: older)
                == NewerInner(flag: false, added: nil, name: "o", maybe: 3))
    }

    @Test func `what has no order is refused`() {
        #expect(throws: EncodingError.self) { try BinaryEncoder().encode(["a": 1]) }
        #expect(throws: EncodingError.self) { try BinaryEncoder().encode([Set([1])]) }
    }

    @Test func `floating point is refused`() throws {
        #expect(throws: EncodingError.self) { try BinaryEncoder().encode([0.5]) }
        #expect(throws: EncodingError.self) { try BinaryEncoder().encode(Float(0.5)) }
        let bytes = try BinaryEncoder().encode([1])
        #expect(throws: DecodingError.self) { try BinaryDecoder().decode([Double].self, from: bytes) }
    }

    @Test func `every truncation is an error`() throws {
        let bytes = try BinaryEncoder().encode(Outer())
        for count in bytes.indices {
            #expect(throws: DecodingError.self) { try BinaryDecoder().decode(Outer.self, from: Array(bytes[..<count])) }
        }
    }

    @Test func `no flipped bit traps, and what is accepted encodes again`() throws {
        let bytes = try BinaryEncoder().encode(Outer())
        for i in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[i] ^= 1 << bit
                if let value = try? BinaryDecoder().decode(Outer.self, from: damaged) {
                    let again = try BinaryEncoder().encode(value)
                    #expect(try BinaryEncoder().encode(BinaryDecoder().decode(Outer.self, from: again)) == again)
                }
            }
        }
    }

    @Test func `random octets are errors or values, never traps`() {
        var random = RandomNumbers(seed: 1)
        for _ in 0..<20_000 {
            let bytes = (0..<random.number(in: 0...40)).map { _ in
                UInt8(random.chance(2, in: 3) ? random.number(in: 0...10) : random.number(in: 0...255))
            }
            _ = try? BinaryDecoder().decode(Outer.self, from: bytes)
            _ = try? BinaryDecoder().decode([Deep].self, from: bytes)
        }
    }

    @Test func `nesting is bounded in both directions`() throws {
        var value = Deep(next: [])
        for _ in 0..<1000 { value = Deep(next: [value]) }
        #expect(throws: EncodingError.self) { try BinaryEncoder().encode(value) }
        let lists = [UInt8](repeating: 0, count: 0) + (0..<100_000).flatMap { _ in [8, 1] as [UInt8] } + [0]
        #expect(throws: DecodingError.self) { try BinaryDecoder().decode([Deep].self, from: lists) }
    }

    @Test func `a length that nothing backs is refused before it is believed`() {
        let huge: [UInt8] = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
        #expect(throws: DecodingError.self) { try BinaryDecoder().decode([Int].self, from: huge) }
        let overlong: [UInt8] = [3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03]
        #expect(throws: DecodingError.self) { try BinaryDecoder().decode(UInt64.self, from: overlong) }
    }

    @Test func `a number that does not fit its type is an error`() throws {
        let bytes = try BinaryEncoder().encode(300)
        #expect(throws: DecodingError.self) { try BinaryDecoder().decode(UInt8.self, from: bytes) }
        let negative = try BinaryEncoder().encode(-1)
        #expect(throws: DecodingError.self) { try BinaryDecoder().decode(UInt64.self, from: negative) }
    }
}
