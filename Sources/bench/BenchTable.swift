import Foundation

/// A table of IPv4 routes as the UPDATE messages of one peer: one attribute set per message, filled to 4,096 octets.
///
/// It is the real table of a folder with `v4.txt.gz` and `attrs.txt.gz`, or one made by formula with a similar shape:
/// 7.5 prefixes to an attribute set, paths of 2 to 7 hops, two communities.
struct BenchTable {
    var routeCount = 0
    var messages: [[UInt8]] = []
    var octets: Int { messages.reduce(0) { $0 + $1.count } }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    init(folder: String, peerAS: UInt32, nextHop: UInt32, limit: Int = .max) throws {
        let attributes = try Self.lines(of: folder + "/attrs.txt.gz")
        var groups: [Int: [(UInt32, UInt8)]] = [:]
        var order: [Int] = []
        for line in try Self.lines(of: folder + "/v4.txt.gz").prefix(limit) {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let number = Int(parts[1]), number < attributes.count,
                let prefix = Self.prefix(parts[0])
            else { throw Failure(description: "\(folder)/v4.txt.gz: '\(line)' is not 'PREFIX NUMBER'") }
            if groups[number] == nil { order.append(number) }
            groups[number, default: []].append(prefix)
            routeCount += 1
        }
        for number in order {
            let fields = attributes[number].split(separator: ";", omittingEmptySubsequences: false)
            guard fields.count == 4 else {
                throw Failure(description: "\(folder)/attrs.txt.gz: line \(number + 1) has \(fields.count) fields, not 4")
            }
            append(
                groups[number] ?? [], path: [peerAS] + fields[0].split(separator: " ").compactMap { UInt32($0) },
                origin: UInt8(fields[1]) ?? 0, med: UInt32(fields[2]),
                communities: fields[3].split(separator: " ").compactMap(Self.community), nextHop: nextHop)
        }
    }

    /// Made by formula: the same for every run.
    init(generated count: Int, peerAS: UInt32, nextHop: UInt32) {
        var state: UInt64 = 1
        func draw(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        while routeCount < count {
            let size = min(count - routeCount, 1 + Int(draw(14)))
            let prefixes = (0..<size).map { (UInt32(0x0100_0000 + (routeCount + $0) * 256), UInt8(24)) }
            append(
                prefixes, path: [peerAS] + (0..<(2 + draw(6))).map { _ in 1000 + UInt32(draw(60000)) }, origin: 0, med: nil,
                communities: [UInt32(draw(1 << 31)), UInt32(draw(1 << 31))], nextHop: nextHop)
            routeCount += size
        }
    }

    private mutating func append(
        _ prefixes: [(UInt32, UInt8)], path: [UInt32], origin: UInt8, med: UInt32?, communities: [UInt32], nextHop: UInt32
    ) {
        var attributes: [UInt8] = [0x40, 1, 1, origin, 0x50, 2] + Self.half(2 + 4 * path.count) + [2, UInt8(path.count)]
        attributes += path.flatMap(Self.word) + [0x40, 3, 4] + Self.word(nextHop)
        if let med { attributes += [0x80, 4, 4] + Self.word(med) }
        if !communities.isEmpty {
            attributes += [0xd0, 8] + Self.half(4 * communities.count) + communities.sorted().flatMap(Self.word)
        }
        var nlri: [UInt8] = []
        func flush(_ messages: inout [[UInt8]]) {
            messages.append(Self.message(2, [0, 0] + Self.half(attributes.count) + attributes + nlri))
            nlri = []
        }
        for (address, length) in prefixes {
            if 23 + attributes.count + nlri.count + 5 > 4096 { flush(&messages) }
            nlri += [length] + Self.word(address).prefix((Int(length) + 7) / 8)
        }
        flush(&messages)
    }

    static func message(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 255, count: 16) + half(body.count + 19) + [type] + body
    }
    static func half(_ value: Int) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    private static func prefix(_ text: Substring) -> (UInt32, UInt8)? {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let length = UInt8(parts[1]), length <= 32 else { return nil }
        var address: UInt32 = 0
        for part in parts[0].split(separator: ".") {
            guard let octet = UInt8(part) else { return nil }
            address = address << 8 | UInt32(octet)
        }
        return (address, length)
    }

    private static func community(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let high = UInt16(parts[0]), let low = UInt16(parts[1]) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    private static func lines(of path: String) throws -> [Substring] {
        guard FileManager.default.isReadableFile(atPath: path) else { throw Failure(description: "\(path) cannot be read") }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/gzip")
        process.arguments = ["-dc", path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "\(path) is not a gzip file") }
        return String(decoding: data, as: UTF8.self).split(separator: "\n")
    }
}
