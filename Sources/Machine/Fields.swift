import Wire

// A type lists its fields once; the snapshot's encoder, its decoder and the digest visit them in that order. What is not
// listed cannot be in one of them and not in another, and a test counts what is listed against what is stored.

/// A value whose stored properties are listed once, in `visit`.
///
/// Every stored property is visited: by `field`, `block`, `list`, `cold` or `part` if it is state, by `derived` if it follows
/// from the rest or is no state. `EngineTests/FieldTests` fails if one is forgotten.
public protocol Fielded: Snapshotting {
    /// What a decoder fills in.
    static var blank: Self { get }
    /// Visits each stored property, in the order of the octets.
    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure)
}

extension Fielded {
    public func write(to writer: inout SnapshotWriter) {
        var copy = self
        copy.visit(&writer)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self = .blank
        try visit(&reader)
    }

    /// Mixes in every field.
    public func mix(into digest: inout StateDigest) {
        var copy = self
        copy.visit(&digest)
    }
}

/// State that writes and reads itself, and knows how it is told in a digest: tables, which would cost too much octet by octet.
public protocol SnapshotPart: Snapshotting {
    func mix(into digest: inout StateDigest)
}

/// What is done with each field of a value: encode it, decode it, mix it into a digest, count it.
public protocol FieldVisitor {
    /// `Never` for who only looks.
    associatedtype Failure: Error
    /// Whether fields are replaced by what is found in octets.
    var isReading: Bool { get }
    /// In which schema the octets are (`SnapshotSection`); 0 where that is not said: the newest.
    var schema: UInt16 { get }
    /// A stored property begins. For who counts them.
    mutating func begin()
    mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_ value: inout T) throws(Failure)
    mutating func octets<T: BitwiseCopyable>(of values: inout [T]) throws(Failure)
    mutating func text(of value: inout String) throws(Failure)
    /// Of a list whose elements follow.
    mutating func count(_ value: inout Int) throws(Failure)
    mutating func coded<T: Codable>(_ value: inout T) throws(Failure)
    mutating func inner<T: SnapshotPart>(_ value: inout T) throws(Failure)
    mutating func nested<T: Fielded>(_ value: inout T) throws(Failure)
    /// - Parameter field: what is refused if the condition does not hold.
    mutating func require(_ condition: Bool, _ field: StaticString) throws(Failure)
}

extension FieldVisitor {
    @inlinable public var schema: UInt16 { 0 }
    @inlinable public mutating func begin() {}
    @inlinable public mutating func nested<T: Fielded>(_ value: inout T) throws(Failure) { try value.visit(&self) }

    /// A property that follows from others or is no state: it is named so that nobody wonders whether it was forgotten.
    @inlinable public mutating func derived<T>(_: T) { begin() }

    @inlinable public mutating func field<T: FixedWidthInteger & BitwiseCopyable>(_ value: inout T) throws(Failure) {
        begin()
        try number(&value)
    }
    @inlinable public mutating func field(_ value: inout Bool) throws(Failure) {
        begin()
        try flag(&value)
    }
    @inlinable public mutating func field(_ value: inout Instant) throws(Failure) {
        begin()
        var nanoseconds = value.nanoseconds
        try number(&nanoseconds)
        if isReading { value = Instant(nanoseconds: nanoseconds) }
    }
    /// The earliest of all instants stands for none.
    @inlinable public mutating func field(_ value: inout Instant?) throws(Failure) {
        begin()
        var nanoseconds = value?.nanoseconds ?? .min
        try number(&nanoseconds)
        if isReading { value = nanoseconds == .min ? nil : Instant(nanoseconds: nanoseconds) }
    }
    @inlinable public mutating func field(_ value: inout String) throws(Failure) {
        begin()
        try text(of: &value)
    }
    @inlinable public mutating func field<T: Fielded>(_ value: inout T) throws(Failure) {
        begin()
        try nested(&value)
    }
    /// A counter of ours, which is not negative and has at most 40 bits.
    @inlinable public mutating func field(size value: inout Int) throws(Failure) {
        begin()
        var wide = UInt64(clamping: value)
        try number(&wide)
        try require(wide < 1 << 40, "a count")
        if isReading { value = Int(wide) }
    }
    /// - Parameter name: what is refused if the number stands for nothing.
    @inlinable public mutating func field<T: RawRepresentable>(_ value: inout T, _ name: StaticString) throws(Failure)
    where T.RawValue: FixedWidthInteger & BitwiseCopyable {
        begin()
        var raw = value.rawValue
        try number(&raw)
        guard isReading else { return }
        if let known = T(rawValue: raw) { value = known } else { try require(false, name) }
    }
    /// A value that is a number under another name.
    @inlinable public mutating func field<T, N: FixedWidthInteger & BitwiseCopyable>(
        _ value: inout T, _ number: (T) -> N, _ make: (N) -> T
    ) throws(Failure) {
        begin()
        var plain = number(value)
        try self.number(&plain)
        if isReading { value = make(plain) }
    }

    // MARK: what may be missing

    @inlinable public mutating func field<T: FixedWidthInteger & BitwiseCopyable>(_ value: inout T?) throws(Failure) {
        try field(&value, { $0 }, { $0 })
    }
    @inlinable public mutating func field<T, N: FixedWidthInteger & BitwiseCopyable>(
        _ value: inout T?, _ number: (T) -> N, _ make: (N) -> T
    ) throws(Failure) {
        begin()
        guard try isThere(value != nil) else { return value = nil }
        var plain: N = 0
        if let value { plain = number(value) }
        try self.number(&plain)
        if isReading { value = make(plain) }
    }
    @inlinable public mutating func field(_ value: inout Bool?) throws(Failure) {
        begin()
        guard try isThere(value != nil) else { return value = nil }
        var flag = value ?? false
        try self.flag(&flag)
        if isReading { value = flag }
    }
    @inlinable public mutating func field(_ value: inout String?) throws(Failure) {
        begin()
        guard try isThere(value != nil) else { return value = nil }
        var some = value ?? ""
        try text(of: &some)
        if isReading { value = some }
    }
    @inlinable public mutating func field<T: Fielded>(_ value: inout T?) throws(Failure) {
        begin()
        guard try isThere(value != nil) else { return value = nil }
        var some = value ?? .blank
        try nested(&some)
        if isReading { value = some }
    }

    // MARK: many

    /// Values without padding, as one block.
    @inlinable public mutating func block<T: BitwiseCopyable>(_ values: inout [T]) throws(Failure) {
        begin()
        try octets(of: &values)
    }
    /// Values that are numbers under another name, as one block.
    @inlinable public mutating func block<T, N: FixedWidthInteger & BitwiseCopyable>(
        _ values: inout [T], _ number: (T) -> N, _ make: (N) -> T
    ) throws(Failure) {
        begin()
        var plain = values.map(number)
        try octets(of: &plain)
        if isReading { values = plain.map(make) }
    }
    /// - Parameter maximum: more are refused.
    @inlinable public mutating func list<T: Fielded>(_ values: inout [T], maximum: Int = .max) throws(Failure) {
        begin()
        var count = values.count
        try self.count(&count)
        guard isReading else {
            // Copies, since an element that is changed in place would cost a copy of the whole list.
            for var value in values { try nested(&value) }
            return
        }
        try require(count <= maximum, "a list")
        values = []
        values.reserveCapacity(min(count, 1 << 12))
        for _ in 0..<count {
            var value = T.blank
            try nested(&value)
            values.append(value)
        }
    }

    // MARK: the rest

    /// A value that is written by its Codable form: configuration and the like, which no digest of its owner has.
    @inlinable public mutating func cold<T: Codable>(_ value: inout T) throws(Failure) {
        begin()
        try coded(&value)
    }
    @inlinable public mutating func part<T: SnapshotPart>(_ value: inout T) throws(Failure) {
        begin()
        try inner(&value)
    }

    @inlinable mutating func flag(_ value: inout Bool) throws(Failure) {
        var octet: UInt8 = value ? 1 : 0
        try number(&octet)
        try require(octet < 2, "a flag")
        if isReading { value = octet == 1 }
    }
    @inlinable mutating func isThere(_ value: Bool) throws(Failure) -> Bool {
        var isThere = value
        try flag(&isThere)
        return isThere
    }
}

extension SnapshotWriter: FieldVisitor {
    public typealias Failure = Never
    public var isReading: Bool { false }

    public mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_ value: inout T) { write(value) }
    public mutating func octets<T: BitwiseCopyable>(of values: inout [T]) { writeBlock(values) }
    public mutating func text(of value: inout String) { write(value) }
    public mutating func count(_ value: inout Int) { write(UInt64(value)) }
    public mutating func coded<T: Codable>(_ value: inout T) { writeCold(value) }
    public mutating func inner<T: SnapshotPart>(_ value: inout T) { value.write(to: &self) }
    public mutating func require(_: Bool, _: StaticString) {}

    /// A small value by its Codable form.
    public mutating func writeCold(_ value: some Encodable) {
        // Only a value that cannot be coded at all throws here: lists beyond the coder's bounds, hashed collections and floating
        // point, which configuration and messages do not have.
        guard let bytes = try? BinaryEncoder().encode(value) else { preconditionFailure("a cold value encodes") }
        writeBlock(bytes)
    }
}

extension SnapshotReader: FieldVisitor {
    public typealias Failure = DecodeError
    public var isReading: Bool { true }

    public mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_ value: inout T) throws(DecodeError) {
        value = try read()
    }
    public mutating func octets<T: BitwiseCopyable>(of values: inout [T]) throws(DecodeError) {
        values = try readBlock(of: T.self)
    }
    public mutating func text(of value: inout String) throws(DecodeError) { value = try readString() }
    /// An element has an octet at least, so that nothing is reserved for what cannot be there.
    public mutating func count(_ value: inout Int) throws(DecodeError) {
        value = try readCount()
        if value > left { throw DecodeError("snapshot list", at: position, .badLength) }
    }
    public mutating func coded<T: Codable>(_ value: inout T) throws(DecodeError) { value = try readCold() }
    public mutating func inner<T: SnapshotPart>(_ value: inout T) throws(DecodeError) { value = try T(from: &self) }
    public mutating func require(_ condition: Bool, _ field: StaticString) throws(DecodeError) {
        if !condition { throw DecodeError(field, at: position, .badValue) }
    }

    public mutating func readCold<T: Decodable>(_: T.Type = T.self) throws(DecodeError) -> T {
        let at = position
        let bytes = try readBlock(of: UInt8.self)
        guard let value = try? BinaryDecoder().decode(T.self, from: bytes) else {
            throw DecodeError("snapshot value", at: at, .badValue)
        }
        return value
    }
}

extension StateDigest: FieldVisitor {
    public typealias Failure = Never
    public var isReading: Bool { false }

    @inlinable public mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_ value: inout T) {
        mix(UInt64(truncatingIfNeeded: value))
    }
    @inlinable public mutating func octets<T: BitwiseCopyable>(of values: inout [T]) {
        mix(UInt64(values.count))
        if !values.isEmpty { mix(values.span.bytes) }
    }
    /// What is for people is told by its length.
    @inlinable public mutating func text(of value: inout String) { mix(UInt64(value.utf8.count)) }
    @inlinable public mutating func count(_ value: inout Int) { mix(UInt64(value)) }
    @inlinable public mutating func coded<T: Codable>(_: inout T) {}
    @inlinable public mutating func inner<T: SnapshotPart>(_ value: inout T) { value.mix(into: &self) }
    @inlinable public mutating func require(_: Bool, _: StaticString) {}
}

/// Counts the stored properties that a type lists.
public struct FieldCounter: FieldVisitor {
    public typealias Failure = Never
    public var isReading: Bool { false }
    public private(set) var fields = 0

    public init() {}
    public mutating func begin() { fields += 1 }
    public mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_: inout T) {}
    public mutating func octets<T: BitwiseCopyable>(of _: inout [T]) {}
    public mutating func text(of _: inout String) {}
    public mutating func count(_: inout Int) {}
    public mutating func coded<T: Codable>(_: inout T) {}
    public mutating func inner<T: SnapshotPart>(_: inout T) {}
    public mutating func nested<T: Fielded>(_: inout T) {}
    public mutating func require(_: Bool, _: StaticString) {}
}
