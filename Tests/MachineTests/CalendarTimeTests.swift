import Testing

@testable import Machine

@Suite struct CalendarTimeTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:01Z", 1), ("2000-02-29T23:59:59Z", 951_868_799),
            ("2027-01-01T00:00:00Z", 1_798_761_600), ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2261-12-31T23:59:59Z", 9_214_646_399),
        ] as [(String, Int64)])
    func `RFC 3339 §5.6: seconds since 1970 are read as they are written`(_ text: String, _ seconds: Int64) {
        #expect(Instant(rfc3339: text) == Instant(nanoseconds: seconds * 1_000_000_000))
        #expect(Instant(nanoseconds: seconds * 1_000_000_000).rfc3339 == text)
    }

    @Test func `a zone is taken into account`() {
        let noon = Instant(rfc3339: "2027-06-01T12:00:00Z")
        #expect(noon != nil)
        #expect(Instant(rfc3339: "2027-06-01T14:00:00+02:00") == noon)
        #expect(Instant(rfc3339: "2027-06-01T06:30:00-05:30") == noon)
        #expect(Instant(rfc3339: "1970-01-01T00:00:00+00:01") == nil)
    }

    @Test func `every day has its own text, in order`() {
        var random = RandomNumbers(seed: 1)
        for _ in 0..<20_000 {
            let time = Instant(nanoseconds: Int64(random.number(in: 0...9_214_646_399)) * 1_000_000_000)
            #expect(Instant(rfc3339: time.rfc3339) == time)
        }
    }

    @Test(arguments: [
        "", "2027-01-01", "2027-01-01T00:00:00", "2027-01-01 00:00:00Z", "2027-01-01T00:00:00z", "2027-01-01T00:00:00.5Z",
        "2027-01-01T24:00:00Z", "2027-01-01T23:59:60Z", "2027-13-01T00:00:00Z", "2027-00-01T00:00:00Z", "2027-02-29T00:00:00Z",
        "2027-01-00T00:00:00Z", "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "2027-01-01T00:00:00+0100",
        "2027-01-01T00:00:00+24:00", "2027-01-01T00:00:00 01:00", "+027-01-01T00:00:00Z", "２027-01-01T00:00:00Z",
    ])
    func `what is no date of RFC 3339 is none`(_ text: String) {
        #expect(Instant(rfc3339: text) == nil)
    }
}
