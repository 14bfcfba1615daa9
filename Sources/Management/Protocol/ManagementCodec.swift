import Foundation

/// Lines of JSON from and to octets. Whatever comes in, it throws or answers, and never traps.
public enum ManagementCodec {
    public static func encoder() -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            try container.encode(ManagementTime.text(date))
        }
        return encoder
    }

    static func decoder() -> JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            guard let date = ManagementTime.date(try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a time")
            }
            return date
        }
        return decoder
    }

    /// The message and a line feed.
    /// - Throws: `EncodingError`, which our own values do not cause.
    public static func line(_ request: ManagementRequest) throws -> [UInt8] {
        [UInt8](try encoder().encode(request)) + [UInt8(ascii: "\n")]
    }
    public static func line(_ response: ManagementResponse) throws -> [UInt8] {
        [UInt8](try encoder().encode(response)) + [UInt8(ascii: "\n")]
    }

    private struct Envelope: Decodable {
        var version: Int?
        var id: UInt64?
    }

    /// What a line asks, or the answer that says why it asks nothing.
    public static func request(_ line: [UInt8]) -> Result<ManagementRequest, RefusedLine> {
        let data = Data(line)
        let envelope = try? decoder().decode(Envelope.self, from: data)
        func refuse(_ reason: String) -> Result<ManagementRequest, RefusedLine> {
            .failure(
                RefusedLine(
                    response: ManagementResponse(
                        id: envelope?.id ?? 0, isFinal: true, result: .failure(ManagementFailure(.badRequest, reason)))))
        }
        guard let envelope else { return refuse("the line is not a JSON object") }
        guard let version = envelope.version else { return refuse("'version' is missing") }
        guard version == ManagementProtocol.version else {
            return refuse("version \(version) is not spoken here, only \(ManagementProtocol.version)")
        }
        do {
            return .success(try decoder().decode(ManagementRequest.self, from: data))
        } catch let error as DecodingError {
            return refuse(describe(error))
        } catch {
            return refuse("the line is no request")
        }
    }

    /// A request that was not understood, with the answer to send.
    public struct RefusedLine: Error, Hashable, Sendable {
        public var response: ManagementResponse
    }

    /// - Throws: `ManagementFailure` if the line is no answer of this version.
    public static func response(_ line: [UInt8]) throws(ManagementFailure) -> ManagementResponse {
        let response: ManagementResponse
        do {
            response = try decoder().decode(ManagementResponse.self, from: Data(line))
        } catch let error as DecodingError {
            throw ManagementFailure(.badRequest, "the controller's answer is not understood: \(describe(error))")
        } catch {
            throw ManagementFailure(.badRequest, "the controller's answer is not understood")
        }
        guard response.version == ManagementProtocol.version else {
            throw ManagementFailure(
                .badRequest, "the controller speaks version \(response.version), not \(ManagementProtocol.version)")
        }
        return response
    }

    private static func describe(_ error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            let path = (context.codingPath + [key]).map(\.stringValue).joined(separator: ".")
            return "'\(path)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "'\(place(context))' has the wrong type"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? "not JSON" : "'\(place(context))': \(context.debugDescription)"
        @unknown default:
            return "not understood"
        }
    }
}

/// Times on the wire and on the terminal: UTC with microseconds, `2026-11-21T00:12:34.567890Z`.
public enum ManagementTime {
    public static func text(_ date: Date) -> String {
        // From the bits, not from a formatter: a formatter rounds to milliseconds.
        let total = date.timeIntervalSince1970
        guard total.isFinite, abs(total) < 1e11 else { return "1970-01-01T00:00:00.000000Z" }
        var seconds = Int(total.rounded(.down))
        var micro = Int(((total - Double(seconds)) * 1e6).rounded())
        if micro >= 1_000_000 {
            seconds += 1
            micro -= 1_000_000
        }
        let days = Int((Double(seconds) / 86400).rounded(.down))
        let second = seconds - days * 86400
        let (year, month, day) = civil(days)
        return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T"
            + "\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2)).\(pad(micro, 6))Z"
    }

    /// - Returns: `nil` for anything that `text` would not write.
    public static func date(_ text: String) -> Date? {
        let bytes = Array(text.utf8)
        guard bytes.count == 27, bytes[4] == 0x2d, bytes[7] == 0x2d, bytes[10] == 0x54, bytes[13] == 0x3a,
            bytes[16] == 0x3a, bytes[19] == 0x2e, bytes[26] == 0x5a
        else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let micro = number(20..<26), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
        return Date(timeIntervalSince1970: Double(seconds) + Double(micro) / 1e6)
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the leap day is last.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
    private static func civil(_ days: Int) -> (Int, Int, Int) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let m = (5 * dayOfYear + 2) / 153
        let month = m < 10 ? m + 3 : m - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * m + 2) / 5 + 1)
    }
}
