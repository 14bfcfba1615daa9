/// An element of a `KeyedArena`.
public protocol KeyedElement: ArenaElement {
    associatedtype Key: Equatable
    /// The same as long as the element is in the arena.
    var key: Key { get }
    /// - Parameter seed: so that nobody outside can make up keys that collide.
    static func hash(_ key: Key, seed: UInt64) -> UInt64
}

/// Elements under dense numbers, as in an `Arena`, that are also found by their keys.
@frozen
public struct KeyedArena<Element: KeyedElement> {
    @usableFromInline var arena = Arena<Element>()
    @usableFromInline var index = HashIndex()
    /// Of the look-up.
    public let seed: UInt64

    /// - Parameter seed: of the look-up.
    @inlinable public init(seed: UInt64) { self.seed = seed }

    /// Elements present.
    @inlinable public var count: Int { arena.count }
    /// One more than the highest number ever given.
    @inlinable public var capacity: Int { arena.capacity }
    /// Every place, in use or not.
    @inlinable public var places: [Element] {
        @inline(__always) _read { yield arena.storage }
    }
    @inlinable public func isPresent(_ number: UInt32) -> Bool { arena.isPresent(number) }

    /// The element of a number. Its key must stay what it is.
    @inlinable
    public subscript(number: UInt32) -> Element {
        @inline(__always) _read { yield arena.storage[Int(number)] }
        @inline(__always) _modify { yield &arena.storage[Int(number)] }
    }

    @inlinable
    public func find(_ key: Element.Key) -> UInt32? {
        index.find(Element.hash(key, seed: seed)) { arena.storage[Int($0)].key == key }
    }

    /// Adds an element whose key is not in the arena.
    /// - Returns: its number from now on.
    @inlinable
    public mutating func insert(_ element: Element) -> UInt32 {
        let number = arena.insert(element)
        let (places, seed) = (arena.storage, seed)
        index.insert(number, hash: Element.hash(element.key, seed: seed)) { Element.hash(places[Int($0)].key, seed: seed) }
        return number
    }

    /// Removes an element that is present; its number will be given again.
    @inlinable
    public mutating func remove(_ number: UInt32) {
        unindex(number)
        arena.remove(number)
    }

    /// By itself, so that nobody holds the elements any more when one is changed.
    @inlinable
    mutating func unindex(_ number: UInt32) {
        let (places, seed) = (arena.storage, seed)
        index.remove(number, hash: Element.hash(places[Int(number)].key, seed: seed)) {
            Element.hash(places[Int($0)].key, seed: seed)
        }
    }

    /// Calls the body with each element, in the order of numbers.
    @inlinable
    public func forEach<Failure: Error>(_ body: (UInt32, Element) throws(Failure) -> Void) throws(Failure) {
        try arena.forEach(body)
    }
    /// Every number that was ever given, in use or not.
    @inlinable public var numbers: Range<UInt32> { 0..<UInt32(truncatingIfNeeded: capacity) }
}

extension KeyedArena: Sendable where Element: Sendable {}
