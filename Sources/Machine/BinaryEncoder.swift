/// Encodes a Codable value into octets: the same value always gives the same octets. See `BinaryCoding.swift`.
public struct BinaryEncoder: Sendable {
    public init() {}

    /// - Throws: `EncodingError` if the value holds a dictionary or a set (which have no order) or a
    ///   floating-point number, is nested deeper than
    ///   `BinaryCodingLimits.depth`, or is longer than `BinaryCodingLimits.length`.
    public func encode(_ value: some Encodable) throws -> [UInt8] {
        let node = BinaryNode()
        try node.encode(value, path: [])
        var writer = BinaryTreeWriter()
        writer.write(node)
        guard writer.bytes.count <= BinaryCodingLimits.length else {
            throw EncodingError.invalidValue(value, .init(codingPath: [], debugDescription: "longer than the limit"))
        }
        return writer.bytes
    }
}

/// Dictionaries and sets, whose order differs from process to process.
private protocol Unordered {}
extension Dictionary: Unordered {}
extension Set: Unordered {}

/// DESIGN §5: nothing that both controllers compute depends on floating point, so it has no encoding.
private func floatingPoint(_ value: Any, _ path: [any CodingKey]) -> EncodingError {
    .invalidValue(value, .init(codingPath: path, debugDescription: "floating-point numbers are not encoded"))
}

/// A value that is being encoded. A class, because `Encodable` may hold several containers of one value.
private final class BinaryNode {
    enum Content {
        case null
        case bool(Bool)
        case unsigned(UInt64)
        case negative(UInt64)
        case text(String)
        case octets([UInt8])
        case list([BinaryNode])
        case record([(name: String, node: BinaryNode)])
    }
    var content: Content = .null

    /// The contract of `Encoder`: asking for a second container of the same kind goes on with the first.
    func becomeList() {
        if case .list = content { return }
        content = .list([])
    }
    func becomeRecord() {
        if case .record = content { return }
        content = .record([])
    }
    func appendToList() -> BinaryNode {
        let node = BinaryNode()
        if case .list(var list) = content {
            content = .null
            list.append(node)
            content = .list(list)
        }
        return node
    }
    func appendToRecord(_ name: String) -> BinaryNode {
        let node = BinaryNode()
        if case .record(var fields) = content {
            content = .null
            fields.append((name, node))
            content = .record(fields)
        }
        return node
    }

    func setInteger<T: FixedWidthInteger>(_ value: T) {
        content = value < 0 ? .negative(UInt64(-1 - Int64(value))) : .unsigned(UInt64(value))
    }

    func encode<T: Encodable>(_ value: T, path: [any CodingKey]) throws {
        // What the standard library would take apart, octet by octet or character by character.
        // (The type is compared first: any empty array can be cast to one of octets.)
        if T.self == [UInt8].self, let octets = value as? [UInt8] { return content = .octets(octets) }
        if value is any Unordered {
            throw EncodingError.invalidValue(
                value,
                .init(
                    codingPath: path, debugDescription: "\(T.self) has no order, so its octets would differ between controllers"))
        }
        guard path.count <= BinaryCodingLimits.depth else {
            throw EncodingError.invalidValue(value, .init(codingPath: path, debugDescription: "nested too deep"))
        }
        try value.encode(to: BinaryNodeEncoder(node: self, codingPath: path))
    }
}

private struct BinaryNodeEncoder: Encoder {
    let node: BinaryNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeRecord()
        return KeyedEncodingContainer(BinaryKeyedEncoding(node: node, codingPath: codingPath))
    }
    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeList()
        return BinaryUnkeyedEncoding(node: node, codingPath: codingPath)
    }
    func singleValueContainer() -> any SingleValueEncodingContainer {
        BinarySingleEncoding(node: node, codingPath: codingPath)
    }
}

private struct BinaryKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: BinaryNode
    let codingPath: [any CodingKey]

    private func field(_ key: Key) -> BinaryNode { node.appendToRecord(key.stringValue) }

    func encodeNil(forKey key: Key) { field(key).content = .null }
    func encode(_ value: Bool, forKey key: Key) { field(key).content = .bool(value) }
    func encode(_ value: String, forKey key: Key) { field(key).content = .text(value) }
    func encode(_ value: Double, forKey key: Key) throws { throw floatingPoint(value, codingPath + [key]) }
    func encode(_ value: Float, forKey key: Key) throws { throw floatingPoint(value, codingPath + [key]) }
    func encode(_ value: Int, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: Int8, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: Int16, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: Int32, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: Int64, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: UInt, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: UInt8, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: UInt16, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: UInt32, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: UInt64, forKey key: Key) { field(key).setInteger(value) }
    func encode(_ value: some Encodable, forKey key: Key) throws {
        try field(key).encode(value, path: codingPath + [key])
    }
    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        BinaryNodeEncoder(node: field(key), codingPath: codingPath + [key]).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        BinaryNodeEncoder(node: field(key), codingPath: codingPath + [key]).unkeyedContainer()
    }
    func superEncoder() -> any Encoder {
        BinaryNodeEncoder(node: node.appendToRecord("super"), codingPath: codingPath)
    }
    func superEncoder(forKey key: Key) -> any Encoder {
        BinaryNodeEncoder(node: field(key), codingPath: codingPath + [key])
    }
}

/// The place of an element in a list, for the path of an error.
struct BinaryIndexKey: CodingKey {
    let intValue: Int?
    init(_ index: Int) { intValue = index }
    init?(intValue: Int) { self.intValue = intValue }
    init?(stringValue: String) { return nil }
    var stringValue: String { "[\(intValue ?? 0)]" }
}

private struct BinaryUnkeyedEncoding: UnkeyedEncodingContainer {
    let node: BinaryNode
    let codingPath: [any CodingKey]

    var count: Int {
        if case .list(let list) = node.content { list.count } else { 0 }
    }
    private func element() -> BinaryNode { node.appendToList() }
    private var elementPath: [any CodingKey] { codingPath + [BinaryIndexKey(count)] }

    func encodeNil() { element().content = .null }
    func encode(_ value: Bool) { element().content = .bool(value) }
    func encode(_ value: String) { element().content = .text(value) }
    func encode(_ value: Double) throws { throw floatingPoint(value, elementPath) }
    func encode(_ value: Float) throws { throw floatingPoint(value, elementPath) }
    func encode(_ value: Int) { element().setInteger(value) }
    func encode(_ value: Int8) { element().setInteger(value) }
    func encode(_ value: Int16) { element().setInteger(value) }
    func encode(_ value: Int32) { element().setInteger(value) }
    func encode(_ value: Int64) { element().setInteger(value) }
    func encode(_ value: UInt) { element().setInteger(value) }
    func encode(_ value: UInt8) { element().setInteger(value) }
    func encode(_ value: UInt16) { element().setInteger(value) }
    func encode(_ value: UInt32) { element().setInteger(value) }
    func encode(_ value: UInt64) { element().setInteger(value) }
    func encode(_ value: some Encodable) throws {
        let path = elementPath
        try element().encode(value, path: path)
    }
    func nestedContainer<NestedKey: CodingKey>(keyedBy type: NestedKey.Type) -> KeyedEncodingContainer<NestedKey> {
        let path = elementPath
        return BinaryNodeEncoder(node: element(), codingPath: path).container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let path = elementPath
        return BinaryNodeEncoder(node: element(), codingPath: path).unkeyedContainer()
    }
    func superEncoder() -> any Encoder {
        let path = elementPath
        return BinaryNodeEncoder(node: element(), codingPath: path)
    }
}

private struct BinarySingleEncoding: SingleValueEncodingContainer {
    let node: BinaryNode
    let codingPath: [any CodingKey]

    func encodeNil() { node.content = .null }
    func encode(_ value: Bool) { node.content = .bool(value) }
    func encode(_ value: String) { node.content = .text(value) }
    func encode(_ value: Double) throws { throw floatingPoint(value, codingPath) }
    func encode(_ value: Float) throws { throw floatingPoint(value, codingPath) }
    func encode(_ value: Int) { node.setInteger(value) }
    func encode(_ value: Int8) { node.setInteger(value) }
    func encode(_ value: Int16) { node.setInteger(value) }
    func encode(_ value: Int32) { node.setInteger(value) }
    func encode(_ value: Int64) { node.setInteger(value) }
    func encode(_ value: UInt) { node.setInteger(value) }
    func encode(_ value: UInt8) { node.setInteger(value) }
    func encode(_ value: UInt16) { node.setInteger(value) }
    func encode(_ value: UInt32) { node.setInteger(value) }
    func encode(_ value: UInt64) { node.setInteger(value) }
    func encode(_ value: some Encodable) throws { try node.encode(value, path: codingPath) }
}

/// Lays the tree out as octets.
private struct BinaryTreeWriter {
    var bytes: [UInt8] = []
    /// Looked up by name only; the numbers are given in the order in which names occur.
    private var names: [String: UInt64] = [:]

    private mutating func number(_ value: UInt64) {
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }
    private mutating func text(_ text: String) {
        number(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }
    private mutating func name(_ name: String) {
        if let known = names[name] { return number(known) }
        names[name] = UInt64(names.count) + 1
        number(0)
        text(name)
    }

    mutating func write(_ node: BinaryNode) {
        switch node.content {
        case .null: bytes.append(BinaryTag.null)
        case .bool(let value): bytes.append(value ? BinaryTag.true : BinaryTag.false)
        case .unsigned(let value):
            bytes.append(BinaryTag.unsigned)
            number(value)
        case .negative(let value):
            bytes.append(BinaryTag.negative)
            number(value)
        case .text(let value):
            bytes.append(BinaryTag.text)
            text(value)
        case .octets(let value):
            bytes.append(BinaryTag.octets)
            number(UInt64(value.count))
            bytes.append(contentsOf: value)
        case .list(let list):
            bytes.append(BinaryTag.list)
            number(UInt64(list.count))
            for element in list { write(element) }
        case .record(let fields):
            bytes.append(BinaryTag.record)
            number(UInt64(fields.count))
            for field in fields {
                name(field.name)
                write(field.node)
            }
        }
    }
}
