import Machine
import Testing
import Wire

/// Containers of the floor, held against slow ones that anybody can read.
@Suite struct ContainerTests {
    private struct Thing: KeyedElement, Equatable {
        var key: Int
        var isVacant = false
        mutating func vacate() { isVacant = true }
        /// Few values, so that probes run into each other.
        static func hash(_ key: Int, seed: UInt64) -> UInt64 { mix64(UInt64(key % 7) ^ seed) }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `An arena gives the number that was freed last, and keeps all others`(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var arena = Arena<Int?>()
        var model: [UInt32: Int] = [:], free: [UInt32] = []
        for step in 0..<2000 {
            if model.isEmpty || random.chance(3, in: 5) {
                let number = arena.insert(step)
                #expect(number == free.popLast() ?? UInt32(model.count + free.count))
                model[number] = step
            } else {
                let number = model.keys.sorted()[random.number(in: 0...(model.count - 1))]
                arena.remove(number)
                free.append(number)
                model[number] = nil
            }
        }
        #expect(arena.count == model.count && arena.capacity == model.count + free.count && arena.free == free)
        var found: [UInt32: Int] = [:], last: UInt32?
        arena.forEach { number, element in
            #expect(last.map { $0 < number } ?? true)
            last = number
            found[number] = element
        }
        #expect(found == model)
        for number in arena.numbers { #expect(arena.isPresent(number) == (model[number] != nil)) }
    }

    @Test func `An arena is restored from places and free numbers, and from nothing that contradicts itself`() throws {
        let arena = try Arena<Int?>(places: [7, nil, 9], free: [1], of: "things", at: 0)
        #expect(arena.count == 2 && arena[UInt32(2)] == 9)
        // What lies in a place that is not in use is of no interest.
        #expect(try Arena<Int?>(places: [7, 8, 9], free: [1], of: "things", at: 0).isPresent(1) == false)
        for (places, free) in [([7, nil], []), ([7], [1]), ([nil], [0, 0])] as [([Int?], [UInt32])] {
            #expect(throws: DecodeError.self) { try Arena<Int?>(places: places, free: free, of: "things", at: 0) }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `A keyed arena finds what is in it by its key, and nothing else`(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var arena = KeyedArena<Thing>(seed: seed)
        var model: [Int: UInt32] = [:]
        for _ in 0..<3000 {
            let key = random.number(in: 0...150)
            #expect(arena.find(key) == model[key])
            if let number = model.removeValue(forKey: key) {
                arena.remove(number)
                #expect(arena[number].key == key, "what is left can be read")
            } else {
                model[key] = arena.insert(Thing(key: key))
            }
        }
        for key in 0...150 { #expect(arena.find(key) == model[key]) }
        #expect(arena.count == model.count)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `A bit set holds what was put into it, in order, whatever its history`(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        var set = BitSet(), model: Set<UInt32> = []
        for _ in 0..<4000 {
            let number = UInt32(random.number(in: 0...9000))
            if random.chance(1, in: 2) {
                #expect(set.insert(number) == model.insert(number).inserted)
            } else {
                #expect(set.remove(number) == (model.remove(number) != nil))
            }
        }
        #expect(set.count == model.count && set.highest == model.max())
        var walked: [UInt32] = [], from: UInt32 = 0
        while let number = set.next(from: from) {
            walked.append(number)
            from = number + 1
        }
        #expect(walked == model.sorted())
        var writer = SnapshotWriter()
        set.write(to: &writer)
        var grown = BitSet()
        grown.insert(1 << 20)
        grown.remove(1 << 20)
        for number in walked { grown.insert(number) }
        #expect(grown == set)
        var again = SnapshotWriter()
        grown.write(to: &again)
        #expect(again.bytes == writer.bytes, "equal sets are equal octets")
        var reader = SnapshotReader(writer.bytes)
        #expect(try BitSet(from: &reader) == set)
        #expect(set.isWithin(9001) && !set.isWithin(Int(walked.last ?? 0)))
        var cursor: UInt32 = 0, drained: [UInt32] = []
        while !set.isEmpty { set.drain(from: &cursor, limit: 7, into: &drained) }
        #expect(drained == walked && set == BitSet())
    }

    @Test func `Two bit sets of different size are equal only if what is in them is`() {
        var a = BitSet(), b = BitSet()
        a.insert(3)
        b.insert(3)
        b.insert(70_000)
        #expect(a != b)
        a.insert(5)
        #expect(a != b)
        b.remove(70_000)
        b.insert(5)
        #expect(a == b)
    }

    @Test(arguments: [1, 2] as [UInt64])
    func `A queue gives back what it was given, in that order`(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var queue = Queue<Int>(), model: [Int] = []
        for step in 0..<5000 {
            switch random.number(in: 0...9) {
            case 0...4:
                queue.append(step)
                model.append(step)
            case 5...8: #expect(queue.popFirst() == (model.isEmpty ? nil : model.removeFirst()))
            default:
                let count = random.number(in: 0...20)
                queue.removeFirst(count)
                model.removeFirst(min(count, model.count))
            }
            if step % 50 == 0 { #expect(Array(queue) == model && queue.count == model.count && queue.first == model.first) }
        }
        #expect(queue.withContiguousStorageIfAvailable { $0.count } == model.count)
    }
}
