import Testing

/// A promise of the sources that a compiler does not check, and an offence that it must find.
struct Rule: Sendable, CustomTestStringConvertible {
    var name: String
    var findings: @Sendable (House) -> [String]
    /// Path to text: a house in which each offence stands once.
    var planted: [String: String]
    /// How many offences are planted.
    var count: Int
    var testDescription: String { name }

    static let all: [Rule] = Layers.rules + Determinism.rules + Order.rules
}
