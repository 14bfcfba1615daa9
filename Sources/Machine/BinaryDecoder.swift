/// Decodes what `BinaryEncoder` wrote. Octets that are no such value give an error and never a trap. See
/// `BinaryCoding.swift`.
public struct BinaryDecoder: Sendable {
    public init() {}

    /// - Throws: `DecodingError`: the octets are damaged, exceed `BinaryCodingLimits`, or describe no `T`.
    public func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        do {
            return try BinaryValueDecoder(value: try BinaryParser.parse(bytes), place: nil).decode(type)
        } catch let failure as BinaryParser.Failure {
            throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: failure.reason))
        }
    }
}

/// Where a container stands. A path of keys is put together only for an error: decoding allocates once for each
/// container and not for each value.
private final class BinaryPlace {
    let parent: BinaryPlace?
    let key: any CodingKey
    init(_ parent: BinaryPlace?, _ key: any CodingKey) {
        self.parent = parent
        self.key = key
    }
    static func path(_ place: BinaryPlace?) -> [any CodingKey] {
        var path: [any CodingKey] = []
        var next = place
        while let place = next {
            path.append(place.key)
            next = place.parent
        }
        return path.reversed()
    }
}

private struct BinaryValueDecoder: Decoder {
    let value: BinaryValue
    /// That of the container, and the key of the value in it.
    let parent: BinaryPlace?
    let key: (any CodingKey)?

    init(value: BinaryValue, place: BinaryPlace?) {
        self.value = value
        parent = place
        key = nil
    }
    init(value: BinaryValue, in parent: BinaryPlace?, at key: any CodingKey) {
        self.value = value
        self.parent = parent
        self.key = key
    }
    /// As the parent of what is within.
    var place: BinaryPlace? { key.map { BinaryPlace(parent, $0) } ?? parent }
    var codingPath: [any CodingKey] { BinaryPlace.path(place) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .record(let fields) = value else { throw mismatch("a record") }
        return KeyedDecodingContainer(BinaryKeyedDecoding(fields: BinaryFields(fields), place: place))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .list(let list) = value else { throw mismatch("a list") }
        return BinaryUnkeyedDecoding(list: list, place: place)
    }
    func singleValueContainer() -> any SingleValueDecodingContainer {
        BinarySingleDecoding(decoder: self)
    }

    func mismatch(_ wanted: String) -> DecodingError {
        .typeMismatch(
            BinaryValue.self,
            .init(
                codingPath: codingPath, debugDescription: "\(wanted) was expected, not \(value.kind)"))
    }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        if type == [UInt8].self, case .octets(let octets) = value, let result = octets as? T { return result }
        return try T(from: self)
    }
    func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        let result: T?
        switch value {
        case .unsigned(let n): result = T(exactly: n)
        case .negative(let n): result = Int64(exactly: n).flatMap { T(exactly: -1 - $0) }
        default: throw mismatch("an integer")
        }
        guard let result else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: codingPath, debugDescription: "the number does not fit \(T.self)"))
        }
        return result
    }
    func bool() throws -> Bool {
        guard case .bool(let result) = value else { throw mismatch("a truth value") }
        return result
    }
    func text() throws -> String {
        guard case .text(let result) = value else { throw mismatch("text") }
        return result
    }
    /// No value of the encoding is one.
    func floatingPoint() -> DecodingError { mismatch("a floating-point number") }
    var isNull: Bool {
        if case .null = value { true } else { false }
    }
}

/// The fields of a record. They come in the order in which the type asks for them, so the next one is tried first and a
/// look-up costs one comparison.
private final class BinaryFields {
    let fields: [(name: String, value: BinaryValue)]
    private var next = 0

    init(_ fields: [(name: String, value: BinaryValue)]) { self.fields = fields }

    func value(_ name: String) -> BinaryValue? {
        if next < fields.count, fields[next].name == name {
            next += 1
            return fields[next - 1].value
        }
        guard let found = fields.firstIndex(where: { $0.name == name }) else { return nil }
        next = found + 1
        return fields[found].value
    }
}

private struct BinaryKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let fields: BinaryFields
    let place: BinaryPlace?
    var codingPath: [any CodingKey] { BinaryPlace.path(place) }

    var allKeys: [Key] { fields.fields.compactMap { Key(stringValue: $0.name) } }
    func contains(_ key: Key) -> Bool { fields.fields.contains { $0.name == key.stringValue } }

    private func decoder(_ key: Key) throws -> BinaryValueDecoder {
        guard let value = fields.value(key.stringValue) else {
            throw DecodingError.keyNotFound(
                key,
                .init(
                    codingPath: codingPath, debugDescription: "there is no field \(key.stringValue)"))
        }
        return BinaryValueDecoder(value: value, in: place, at: key)
    }
    /// `nil` for a field that is absent or holds nothing.
    private func present(_ key: Key) -> BinaryValueDecoder? {
        guard let value = fields.value(key.stringValue) else { return nil }
        if case .null = value { return nil }
        return BinaryValueDecoder(value: value, in: place, at: key)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).isNull }
    func decode(_: Bool.Type, forKey key: Key) throws -> Bool { try decoder(key).bool() }
    func decode(_: String.Type, forKey key: Key) throws -> String { try decoder(key).text() }
    func decode(_: Double.Type, forKey key: Key) throws -> Double { throw try decoder(key).floatingPoint() }
    func decode(_: Float.Type, forKey key: Key) throws -> Float { throw try decoder(key).floatingPoint() }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decoder(key).integer(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try decoder(key).integer(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try decoder(key).integer(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try decoder(key).integer(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try decoder(key).integer(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try decoder(key).integer(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try decoder(key).integer(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try decoder(key).integer(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try decoder(key).integer(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try decoder(key).integer(type) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try decoder(key).decode(type) }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? { try present(key)?.decode(type) }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try decoder(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder {
        guard let value = fields.value("super") else {
            throw DecodingError.dataCorrupted(.init(codingPath: codingPath, debugDescription: "there is no field super"))
        }
        return BinaryValueDecoder(value: value, place: place)
    }
    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct BinaryUnkeyedDecoding: UnkeyedDecodingContainer {
    let list: [BinaryValue]
    let place: BinaryPlace?
    private(set) var currentIndex = 0

    init(list: [BinaryValue], place: BinaryPlace?) {
        self.list = list
        self.place = place
    }
    var codingPath: [any CodingKey] { BinaryPlace.path(place) }
    var count: Int? { list.count }
    var isAtEnd: Bool { currentIndex >= list.count }

    /// The next element. It counts as read only when it was decoded, as `UnkeyedDecodingContainer` demands.
    private mutating func next<T>(_ read: (BinaryValueDecoder) throws -> T) throws -> T {
        let key = BinaryIndexKey(currentIndex)
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                T.self, .init(codingPath: codingPath + [key], debugDescription: "the list ends here"))
        }
        let result = try read(BinaryValueDecoder(value: list[currentIndex], in: place, at: key))
        currentIndex += 1
        return result
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, case .null = list[currentIndex] else { return false }
        currentIndex += 1
        return true
    }
    mutating func decode(_: Bool.Type) throws -> Bool { try next { try $0.bool() } }
    mutating func decode(_: String.Type) throws -> String { try next { try $0.text() } }
    mutating func decode(_: Double.Type) throws -> Double { try next { throw $0.floatingPoint() } }
    mutating func decode(_: Float.Type) throws -> Float { try next { throw $0.floatingPoint() } }
    mutating func decode(_ type: Int.Type) throws -> Int { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next { try $0.integer(type) } }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next { try $0.decode(type) } }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try next { try $0.container(keyedBy: type) }
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next { try $0.unkeyedContainer() }
    }
    mutating func superDecoder() throws -> any Decoder { try next { $0 } }
}

private struct BinarySingleDecoding: SingleValueDecodingContainer {
    let decoder: BinaryValueDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.isNull }
    func decode(_: Bool.Type) throws -> Bool { try decoder.bool() }
    func decode(_: String.Type) throws -> String { try decoder.text() }
    func decode(_: Double.Type) throws -> Double { throw decoder.floatingPoint() }
    func decode(_: Float.Type) throws -> Float { throw decoder.floatingPoint() }
    func decode(_ type: Int.Type) throws -> Int { try decoder.integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try decoder.integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try decoder.integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try decoder.integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try decoder.integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try decoder.integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try decoder.integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try decoder.integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try decoder.integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try decoder.integer(type) }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoder.decode(type) }
}
