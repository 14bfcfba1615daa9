// Cold state (the configuration in force, above all) goes into records and snapshots as plain Codable values.
//
// The encoding, little as it is:
//
//     value  = 0x00                       nothing
//            | 0x01 | 0x02                false, true
//            | 0x03 number                an unsigned integer
//            | 0x04 number                a negative integer n, as -1 - n
//            | 0x06 number octets         text in UTF-8, with its length
//            | 0x07 number octets         octets, with their length
//            | 0x08 number value…         a list, with its count
//            | 0x09 number (key value)…   a record, with its count
//     key    = 0 number octets            a name that occurs for the first time
//            | n                          the n-th name that occurred before, from 1
//     number = LEB128, at most 64 bits
//
// Fields are found by name, so a release may add optional fields: an older reader passes over what it does not know and
// a newer one finds nothing. Fields are written in the order in which the type declares them, so equal values give equal
// bytes on both controllers. Dictionaries and sets have no such order and are refused, and so is floating point.

/// Bounds of `BinaryDecoder` and `BinaryEncoder`. Bytes may be anybody's: from the twin, or from a disk.
public enum BinaryCodingLimits {
    /// Containers within containers.
    public static let depth = 64
    /// Octets of one encoded value: 64 MiB.
    public static let length = 64 << 20
    /// Distinct names of fields.
    public static let names = 1 << 16
}

/// One value of the encoding, as it is read.
indirect enum BinaryValue {
    case null
    case bool(Bool)
    case unsigned(UInt64)
    /// -1 - n
    case negative(UInt64)
    case text(String)
    case octets([UInt8])
    case list([BinaryValue])
    case record([(name: String, value: BinaryValue)])

    var kind: String {
        switch self {
        case .null: "nothing"
        case .bool: "a truth value"
        case .unsigned, .negative: "an integer"
        case .text: "text"
        case .octets: "octets"
        case .list: "a list"
        case .record: "a record"
        }
    }
}

enum BinaryTag {
    static let null: UInt8 = 0
    static let `false`: UInt8 = 1
    static let `true`: UInt8 = 2
    static let unsigned: UInt8 = 3
    static let negative: UInt8 = 4
    static let text: UInt8 = 6
    static let octets: UInt8 = 7
    static let list: UInt8 = 8
    static let record: UInt8 = 9
}

/// Reads the octets into a tree. Memory is in proportion to the octets: nothing is reserved on the word of a count.
struct BinaryParser {
    private let bytes: [UInt8]
    private var position = 0
    private var names: [String] = []

    struct Failure: Error {
        var reason: String
    }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func parse(_ bytes: [UInt8]) throws(Failure) -> BinaryValue {
        guard bytes.count <= BinaryCodingLimits.length else {
            throw Failure(reason: "\(bytes.count) octets are more than the \(BinaryCodingLimits.length) allowed")
        }
        var parser = BinaryParser(bytes)
        let value = try parser.value(depth: 0)
        guard parser.position == bytes.count else { throw parser.failure("octets follow the value") }
        return value
    }

    private func failure(_ what: String) -> Failure { Failure(reason: "\(what) (octet \(position))") }

    private mutating func octet() throws(Failure) -> UInt8 {
        guard position < bytes.count else { throw failure("the octets end too early") }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func number() throws(Failure) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try octet()
            let part = UInt64(next & 0x7f)
            guard shift < 63 || (shift == 63 && part <= 1) else { throw failure("a number has more than 64 bits") }
            result |= part << shift
            if next & 0x80 == 0 { return result }
            shift += 7
        }
    }

    /// A count of things of which each takes at least one octet.
    private mutating func count() throws(Failure) -> Int {
        let count = try number()
        guard count <= UInt64(bytes.count - position) else { throw failure("a length exceeds the octets that are left") }
        return Int(count)
    }

    private mutating func octets() throws(Failure) -> ArraySlice<UInt8> {
        let count = try count()
        defer { position += count }
        return bytes[position..<(position + count)]
    }

    private mutating func text() throws(Failure) -> String {
        guard let text = String(validating: try octets(), as: UTF8.self) else { throw failure("text is not UTF-8") }
        return text
    }

    private mutating func name() throws(Failure) -> String {
        let number = try number()
        if number == 0 {
            guard names.count < BinaryCodingLimits.names else { throw failure("too many names") }
            let name = try text()
            names.append(name)
            return name
        }
        guard number <= UInt64(names.count) else { throw failure("a name is referred to that did not occur") }
        return names[Int(number - 1)]
    }

    private mutating func value(depth: Int) throws(Failure) -> BinaryValue {
        guard depth <= BinaryCodingLimits.depth else { throw failure("values are nested too deep") }
        switch try octet() {
        case BinaryTag.null: return .null
        case BinaryTag.false: return .bool(false)
        case BinaryTag.true: return .bool(true)
        case BinaryTag.unsigned: return .unsigned(try number())
        case BinaryTag.negative: return .negative(try number())
        case BinaryTag.text: return .text(try text())
        case BinaryTag.octets: return .octets(Array(try octets()))
        case BinaryTag.list:
            var list: [BinaryValue] = []
            for _ in 0..<(try count()) { list.append(try value(depth: depth + 1)) }
            return .list(list)
        case BinaryTag.record:
            var fields: [(name: String, value: BinaryValue)] = []
            for _ in 0..<(try count()) {
                let name = try name()
                fields.append((name, try value(depth: depth + 1)))
            }
            return .record(fields)
        case let tag:
            throw failure("\(tag) is no kind of value")
        }
    }
}
