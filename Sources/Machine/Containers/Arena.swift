import Wire

/// An element that tells by itself whether its place is in use.
public protocol ArenaElement {
    var isVacant: Bool { get }
    /// The place is not in use any more. What is left in it can be read until the place is given again.
    mutating func vacate()
}

extension Optional: ArenaElement {
    @inlinable public var isVacant: Bool { self == nil }
    @inlinable public mutating func vacate() { self = nil }
}

/// Elements under dense numbers. An element keeps its number until it is removed; numbers are given again, the last one freed
/// first, so that arrays beside it that go by number stay dense. The order of numbers is the order of arrival, the same on
/// both controllers: which number comes next is state.
@frozen
public struct Arena<Element: ArenaElement> {
    @usableFromInline var storage: [Element] = []
    @usableFromInline var freed: [UInt32] = []

    @inlinable public init() {}

    /// Elements present.
    @inlinable public var count: Int { storage.count - freed.count }
    @inlinable public var isEmpty: Bool { count == 0 }
    /// One more than the highest number ever given: the size that arrays beside it need.
    @inlinable public var capacity: Int { storage.count }
    /// Every place, in use or not.
    @inlinable public var places: [Element] {
        @inline(__always) _read { yield storage }
    }
    /// The numbers that are not in use; they are given again from the end.
    @inlinable public var free: [UInt32] { freed }

    @inlinable
    public subscript(number: UInt32) -> Element {
        @inline(__always) _read { yield storage[Int(number)] }
        @inline(__always) _modify { yield &storage[Int(number)] }
    }

    /// For those who keep numbers as positions.
    @inlinable
    public subscript(place: Int) -> Element {
        @inline(__always) _read { yield storage[place] }
        @inline(__always) _modify { yield &storage[place] }
    }

    /// Whether there is an element of this number.
    @inlinable
    public func isPresent(_ number: UInt32) -> Bool { Int(number) < storage.count && !storage[Int(number)].isVacant }

    /// - Returns: the number of the element from now on.
    @inlinable
    public mutating func insert(_ element: Element) -> UInt32 {
        if let number = freed.popLast() {
            storage[Int(number)] = element
            return number
        }
        storage.append(element)
        return UInt32(truncatingIfNeeded: storage.count &- 1)
    }

    /// Removes an element that is present; its number will be given again.
    @inlinable
    public mutating func remove(_ number: UInt32) {
        precondition(!storage[Int(number)].isVacant, "a number is freed once")
        storage[Int(number)].vacate()
        freed.append(number)
    }

    /// Calls the body with each element, in the order of numbers.
    @inlinable
    public func forEach<Failure: Error>(_ body: (UInt32, Element) throws(Failure) -> Void) throws(Failure) {
        for place in storage.indices where !storage[place].isVacant {
            try body(UInt32(truncatingIfNeeded: place), storage[place])
        }
    }
    /// Every number that was ever given, in use or not.
    @inlinable public var numbers: Range<UInt32> { 0..<UInt32(truncatingIfNeeded: capacity) }
}

extension Arena: Sendable where Element: Sendable {}

extension Arena {
    /// What was written of another arena; any octets may have come.
    ///
    /// - Parameters:
    ///   - places: by number, with what lies in those that are not in use.
    ///   - free: the numbers that are not in use, in the order in which they were freed.
    ///   - what: for the error.
    ///   - position: in the snapshot, for the error.
    public init(
        places: [Element], free: [UInt32], of what: StaticString, at position: Int
    ) throws(DecodeError) {
        let refused = DecodeError(what, at: position, .badValue)
        var isListed = [Bool](repeating: false, count: places.count)
        storage = places
        freed = free
        for number in free {
            guard Int(number) < places.count, !isListed[Int(number)] else { throw refused }
            isListed[Int(number)] = true
            storage[Int(number)].vacate()
        }
        for place in places.indices where storage[place].isVacant && !isListed[place] { throw refused }
    }
}
