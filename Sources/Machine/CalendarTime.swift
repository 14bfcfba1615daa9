// Dates as people write them: RFC 3339 §5.6 date-time, in whole seconds. Integers only; leap seconds do not exist here, as
// they do not in the time since 1970 that hosts count.

extension Instant {
    /// The last year whose seconds an `Instant` holds from beginning to end.
    public static let lastYear = 2261

    /// A date and time of RFC 3339 §5.6 with its zone: `2027-01-01T00:00:00Z`, `2027-01-01T01:00:00+01:00`. Nothing else: no
    /// fraction of a second, no leap second, no blank for the `T`, capital letters, years 1970…`lastYear`.
    /// - Returns: `nil` for any other text, and for a day that the calendar does not have.
    public init?(rfc3339 text: String) {
        let octets = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= octets.count else { return nil }
            var value = 0
            for octet in octets[range] {
                guard (0x30...0x39).contains(octet) else { return nil }
                value = value * 10 + Int(octet - 0x30)
            }
            return value
        }
        func stands(_ sign: Unicode.Scalar, at place: Int) -> Bool { octets[place] == UInt8(ascii: sign) }
        guard octets.count == 20 || octets.count == 25, stands("-", at: 4), stands("-", at: 7), stands("T", at: 10),
            stands(":", at: 13), stands(":", at: 16), let year = number(0..<4), let month = number(5..<7),
            let day = number(8..<10), let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1970...Self.lastYear).contains(year), (1...12).contains(month),
            (1...Self.days(in: month, of: year)).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var offset = 0
        if octets.count == 20 {
            guard stands("Z", at: 19) else { return nil }
        } else {
            guard stands("+", at: 19) || stands("-", at: 19), stands(":", at: 22), let hours = number(20..<22),
                let minutes = number(23..<25), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (stands("-", at: 19) ? -1 : 1)
        }
        let seconds = Self.dayNumber(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        // A zone may lead out of the years at either end.
        guard seconds >= 0 else { return nil }
        let (nanoseconds, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return nil }
        self.init(nanoseconds: nanoseconds)
    }

    /// The second that this is in, in UTC: `2027-01-01T00:00:00Z`.
    public var rfc3339: String {
        let seconds = max(0, Int(nanoseconds / 1_000_000_000))
        let (year, month, day) = Self.date(ofDay: seconds / 86_400)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let time = seconds % 86_400
        return "\(year)-\(two(month))-\(two(day))T\(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60))Z"
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from the first of January 1970 to that of `year`.
    private static func dayNumber(ofYear year: Int) -> Int {
        let before = year - 1
        // 719,162 days lie before 1970 in the calendar that is counted back to the year 1.
        return before * 365 + before / 4 - before / 100 + before / 400 - 719_162
    }

    private static func dayNumber(_ year: Int, _ month: Int, _ day: Int) -> Int {
        var number = dayNumber(ofYear: year) + day - 1
        for earlier in 1..<month { number += days(in: earlier, of: year) }
        return number
    }

    private static func date(ofDay number: Int) -> (year: Int, month: Int, day: Int) {
        // No year is longer than 366 days, so the year is not before this one.
        var year = 1970 + number / 366
        while dayNumber(ofYear: year + 1) <= number { year += 1 }
        var rest = number - dayNumber(ofYear: year)
        var month = 1
        while rest >= days(in: month, of: year) {
            rest -= days(in: month, of: year)
            month += 1
        }
        return (year, month, rest + 1)
    }
}
