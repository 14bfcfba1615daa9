/// First in, first out, in one array whose taken beginning is cut off now and then: each element is moved about once, whatever
/// the length. Positions count from the oldest element that is there.
///
/// What a taken element refers to may live on until the beginning is cut off; who can't have that empties the element first.
@frozen
public struct Queue<Element>: RandomAccessCollection, MutableCollection {
    @usableFromInline var storage: [Element] = []
    /// Elements before this are taken.
    @usableFromInline var head = 0

    @inlinable public init() {}
    @inlinable public init(_ elements: [Element]) { storage = elements }

    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { storage.count &- head }
    @inlinable
    public subscript(position: Int) -> Element {
        @inline(__always) _read { yield storage[head + position] }
        @inline(__always) _modify { yield &storage[head + position] }
    }

    @inlinable
    public func withContiguousStorageIfAvailable<Result>(
        _ body: (UnsafeBufferPointer<Element>) throws -> Result
    ) rethrows -> Result? {
        try unsafe storage[head...].withContiguousStorageIfAvailable(body)
    }

    @inlinable public mutating func append(_ element: Element) { storage.append(element) }
    @inlinable
    public mutating func append(contentsOf elements: some Sequence<Element>) { storage.append(contentsOf: elements) }

    /// Makes room for `count` elements in all.
    @inlinable public mutating func reserveCapacity(_ count: Int) { storage.reserveCapacity(head + count) }

    /// Takes the oldest.
    @inlinable
    public mutating func popFirst() -> Element? {
        guard head < storage.count else { return nil }
        let element = storage[head]
        removeFirst(1)
        return element
    }

    /// Takes the oldest `count`, or as many as there are.
    @inlinable
    public mutating func removeFirst(_ count: Int) {
        head = Swift.min(head + count, storage.count)
        if head == storage.count {
            removeAll()
        } else if head > 64, head * 2 > storage.count {
            storage.removeFirst(head)
            head = 0
        }
    }

    @inlinable
    public mutating func removeAll() {
        // The room of a flood is given back.
        storage.removeAll(keepingCapacity: storage.capacity <= 4096)
        head = 0
    }
}

extension Queue: Sendable where Element: Sendable {}
