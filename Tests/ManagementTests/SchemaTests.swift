import Foundation
import Testing
import Wire

@testable import Management

/// Scripts read what comes over the socket: `Docs/schema` says of every answer and of what goes with every command which keys
/// and values it has. `LOCKSTEP_RECORD=1 swift test --filter SchemaTests` writes it anew; a change there is one of the wire.
@Suite struct SchemaTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Docs/schema")
    static let isRecording = ProcessInfo.processInfo.environment["LOCKSTEP_RECORD"] == "1"

    private func hold(_ name: String, _ schema: [String: Any]) throws {
        let data = try JSONSerialization.data(
            withJSONObject: schema, options: [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes])
        let text = String(decoding: data, as: UTF8.self) + "\n"
        let file = Self.folder.appendingPathComponent(name + ".json")
        if Self.isRecording {
            try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "\(name): see above how to record it anew")
    }

    @Test func `every answer is as its schema says`() throws {
        for answer in ResultDescription.all {
            var schema = try Schema.of(answer.value)
            schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
            schema["title"] = answer.type
            try hold(answer.type, schema)
        }
    }

    @Test func `every command is as its schema says`() throws {
        let commands = try CommandDescription.all.map { command in
            var entry: [String: Any] = [
                "command": command.name, "help": command.help, "changes": command.changes, "answer": command.answer,
            ]
            if let arguments = command.arguments { entry["arguments"] = try Schema.of(arguments) }
            return entry
        }
        try hold("commands", ["commands": commands])
    }

    @Test func `every answer that a command can have is known, and every command and answer is there once`() {
        let types = ResultDescription.all.map(\.type)
        #expect(Set(types).count == types.count)
        for command in CommandDescription.all { #expect(types.contains(command.answer), "\(command.name)") }
        let names = CommandDescription.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(ManagementCodecTests.commands.map(\.name)).isSubset(of: names))
    }

    @Test func `only what changes something is logged`() {
        for command in ManagementCodecTests.commands where command.isChange { #expect(command.description.changes) }
        #expect(!ManagementCommand.showVersion.isChange && ManagementCommand.online.isChange)
        var apply = ConfigurationApply(configuration: ConfigurationText(file: "", text: ""), dryRun: true)
        #expect(!ManagementCommand.configurationApply(apply).isChange)
        apply.dryRun = false
        #expect(ManagementCommand.configurationApply(apply).isChange)
    }

    @Test func `what a sample says its schema has`() throws {
        for result in ManagementCodecTests.results {
            let line = try ManagementCodec.line(ManagementResponse(id: 1, isFinal: true, result: result))
            let whole = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
            let type = try #require(whole["type"] as? String)
            let row = try #require(ResultDescription.all.first { $0.type == type })
            let value = try #require(whole["value"])
            #expect(Schema.covers(try Schema.of(row.value), value), "\(type)")
        }
    }
}

/// Asks a type which keys and values it reads, and answers each question with something that will do.
enum Schema {
    static func of(_ type: any Decodable.Type) throws -> [String: Any] {
        let node = Node()
        _ = try value(type, node)
        return node.schema
    }

    /// Whether a value has no key that the schema lacks, and all that it requires.
    static func covers(_ schema: [String: Any], _ value: Any) -> Bool {
        if let object = value as? [String: Any] {
            let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
            let required = schema["required"] as? [String] ?? []
            return required.allSatisfy { object[$0] != nil }
                && object.allSatisfy { key, value in properties[key].map { covers($0, value) } ?? false }
        }
        if let list = value as? [Any] {
            guard let items = schema["items"] as? [String: Any] else { return false }
            return list.allSatisfy { covers(items, $0) }
        }
        return (value is String) == (schema["type"] as? String == "string")
    }

    fileprivate final class Node {
        var schema: [String: Any] = [:]
    }

    fileprivate static func value<T: Decodable>(_ type: T.Type, _ node: Node) throws -> T {
        if type == Date.self {
            node.schema = ["type": "string", "format": "date-time"]
            return Date(timeIntervalSince1970: 0) as! T
        }
        if let words = type as? any (CaseIterable & RawRepresentable).Type, let all = cases(words) {
            node.schema = ["type": all[0].raw is String ? "string" : "integer", "enum": all.map(\.raw)]
            return all[0].value as! T
        }
        if let text = type as? any TextCodable.Type {
            node.schema = ["type": "string"]
            if !text.words.isEmpty { node.schema["enum"] = text.words }
            return try #require((text.words + texts).lazy.compactMap { text.init($0) }.first) as! T
        }
        return try T(from: Reader(node: node))
    }

    /// Texts of everything that is its text on the wire.
    private static let texts = [
        "192.0.2.1", "192.0.2.0/24", "2001:db8::", "2001:db8::/32", "02:00:00:00:00:01", "1921.6800.1001", "1921.6800.1001.00",
        "1921.6800.1001.00-00",
    ]

    private static func cases(_ type: any (CaseIterable & RawRepresentable).Type) -> [(raw: Any, value: Any)]? {
        func unboxed<C: CaseIterable & RawRepresentable>(_ type: C.Type) -> [(raw: Any, value: Any)] {
            type.allCases.map { ($0.rawValue, $0) }
        }
        let all = unboxed(type)
        return all.isEmpty ? nil : all
    }

    private struct Reader: Decoder {
        let node: Node
        var codingPath: [any CodingKey] { [] }
        var userInfo: [CodingUserInfoKey: Any] { [:] }
        func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
            node.schema["type"] = "object"
            if node.schema["properties"] == nil { node.schema["properties"] = [String: Any]() }
            return KeyedDecodingContainer(Keyed(node: node))
        }
        func unkeyedContainer() -> any UnkeyedDecodingContainer { Unkeyed(node: node) }
        func singleValueContainer() -> any SingleValueDecodingContainer { Single(node: node) }
    }

    private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
        let node: Node
        var codingPath: [any CodingKey] { [] }
        var allKeys: [Key] { [] }
        func contains(_ key: Key) -> Bool { true }
        func decodeNil(forKey key: Key) -> Bool { false }

        private func note<T: Decodable>(_ type: T.Type, _ key: Key, isRequired: Bool) throws -> T {
            let child = Node()
            let value = try Schema.value(type, child)
            var properties = node.schema["properties"] as? [String: Any] ?? [:]
            properties[key.stringValue] = child.schema
            node.schema["properties"] = properties
            if isRequired {
                node.schema["required"] = ((node.schema["required"] as? [String] ?? []) + [key.stringValue]).sorted()
            }
            return value
        }
        func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try note(type, key, isRequired: true) }
        func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
            try note(type, key, isRequired: false)
        }
        func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type, forKey key: Key
        ) -> KeyedDecodingContainer<Nested> { Reader(node: Node()).container(keyedBy: type) }
        func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer { Unkeyed(node: Node()) }
        func superDecoder() -> any Decoder { Reader(node: node) }
        func superDecoder(forKey key: Key) -> any Decoder { Reader(node: node) }
        // `decodeIfPresent` of the plain types goes its own way.
        func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try note(type, key, isRequired: false) }
        func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try note(type, key, isRequired: false) }
    }

    /// One element stands for all.
    private struct Unkeyed: UnkeyedDecodingContainer {
        let node: Node
        var codingPath: [any CodingKey] { [] }
        var count: Int? { 1 }
        var currentIndex = 0
        var isAtEnd: Bool { currentIndex > 0 }

        init(node: Node) {
            self.node = node
            node.schema["type"] = "array"
        }
        mutating func decodeNil() -> Bool { false }
        mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
            currentIndex += 1
            let child = Node()
            defer { node.schema["items"] = child.schema }
            return try Schema.value(type, child)
        }
        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedDecodingContainer<Nested> {
            Reader(node: Node()).container(keyedBy: type)
        }
        mutating func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer { Unkeyed(node: Node()) }
        mutating func superDecoder() -> any Decoder { Reader(node: node) }
    }

    private struct Single: SingleValueDecodingContainer {
        let node: Node
        var codingPath: [any CodingKey] { [] }
        func decodeNil() -> Bool { false }
        func decode(_ type: Bool.Type) -> Bool {
            node.schema["type"] = "boolean"
            return true
        }
        func decode(_ type: String.Type) -> String {
            node.schema["type"] = "string"
            return ""
        }
        private func number<T: Numeric>(_ name: String) -> T {
            node.schema["type"] = name
            return 0
        }
        func decode(_ type: Double.Type) -> Double { number("number") }
        func decode(_ type: Float.Type) -> Float { number("number") }
        func decode(_ type: Int.Type) -> Int { number("integer") }
        func decode(_ type: Int8.Type) -> Int8 { number("integer") }
        func decode(_ type: Int16.Type) -> Int16 { number("integer") }
        func decode(_ type: Int32.Type) -> Int32 { number("integer") }
        func decode(_ type: Int64.Type) -> Int64 { number("integer") }
        func decode(_ type: UInt.Type) -> UInt { number("integer") }
        func decode(_ type: UInt8.Type) -> UInt8 { number("integer") }
        func decode(_ type: UInt16.Type) -> UInt16 { number("integer") }
        func decode(_ type: UInt32.Type) -> UInt32 { number("integer") }
        func decode(_ type: UInt64.Type) -> UInt64 { number("integer") }
        func decode<T: Decodable>(_ type: T.Type) throws -> T { try Schema.value(type, node) }
    }
}
