/// A value that is its text in files, on the management socket and in cold state: one spelling that people can search.
public protocol TextCodable: LosslessStringConvertible, Codable {
    /// All texts that there are; empty where they are many.
    static var words: [String] { get }
}

extension TextCodable {
    public static var words: [String] { [] }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no \(Self.self)")
        }
        self = value
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension IPv4Address: TextCodable {}
extension IPv6Address: TextCodable {}
extension IPAddress: TextCodable {}
extension IPv4Prefix: TextCodable {}
extension IPv6Prefix: TextCodable {}
extension IPPrefix: TextCodable {}
extension MACAddress: TextCodable {}

extension LosslessStringConvertible where Self: CaseIterable {
    /// One of few by its name.
    public init?(_ text: String) {
        guard let value = Self.allCases.first(where: { $0.description == text }) else { return nil }
        self = value
    }
}

/// A property of a view that goes to operators as its text, whatever the type is in cold state.
@propertyWrapper
public struct AsText<Value: LosslessStringConvertible & Hashable & Sendable>: Hashable, Sendable, TextCodable {
    public var wrappedValue: Value

    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
    public init?(_ text: String) {
        guard let value = Value(text) else { return nil }
        wrappedValue = value
    }
    public var description: String { wrappedValue.description }
    public static var words: [String] {
        func all<Few: CaseIterable>(_: Few.Type) -> [String] { Few.allCases.map { "\($0)" } }
        return (Value.self as? any CaseIterable.Type).map { all($0) } ?? []
    }
}
