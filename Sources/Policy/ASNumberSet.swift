import Machine
import Wire

/// AS numbers as ranges that neither meet nor touch, ascending.
public struct ASNumberSet: Hashable, Sendable, Codable {
    public private(set) var ranges: [ClosedRange<UInt32>]

    /// Every number there is.
    static let everything = ASNumberSet([0...UInt32.max])

    /// Ranges in any order, which may overlap.
    public init(_ ranges: [ClosedRange<UInt32>]) {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
    }

    public func contains(_ number: ASNumber) -> Bool {
        let at = ranges.sortedIndex { $0.upperBound < number.raw }
        return at < ranges.count && ranges[at].lowerBound <= number.raw
    }

    func union(_ other: ASNumberSet) -> ASNumberSet { ASNumberSet(ranges + other.ranges) }
}
