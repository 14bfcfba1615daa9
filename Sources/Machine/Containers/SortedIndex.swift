extension RandomAccessCollection where Index == Int {
    /// Where something stands, or would be inserted, in a collection that is in ascending order: the first position whose element
    /// is not before it, or the end.
    /// - Parameter isBefore: true of all elements up to a place, and of none from there on.
    @inlinable @inline(__always)
    public func sortedIndex(where isBefore: (Element) -> Bool) -> Int {
        var low = startIndex, high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
