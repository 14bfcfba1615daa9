import Machine
import Testing
import Wire

@Suite struct TimerTableTests {
    private func at(_ n: Int) -> Instant { Instant(nanoseconds: Int64(n)) }

    @Test func `timers fire by deadline, then by creation`() {
        var timers = TimerTable<String>()
        timers.set("late", at: at(20))
        timers.set("first of two", at: at(10))
        timers.set("second of two", at: at(10))
        timers.set("moved behind", at: at(5))
        timers.set("moved behind", at: at(10))
        #expect(timers.next == at(10))
        #expect(timers.popDue(at: at(9)) == nil)
        var fired: [String] = []
        while let key = timers.popDue(at: at(30)) { fired.append(key) }
        #expect(fired == ["first of two", "second of two", "moved behind", "late"])
        #expect(timers.next == nil)
    }

    @Test func `a cancelled timer neither fires nor is waited for`() {
        var timers = TimerTable<Int>()
        timers.set(1, at: at(5))
        timers.set(2, at: at(9))
        timers.cancel(1)
        #expect(timers.next == at(9))
        #expect(!timers.isRunning(1))
        #expect(timers.popDue(at: at(100)) == 2)
        #expect(timers.popDue(at: at(100)) == nil)
    }

    @Test(arguments: 1...20) func `random use agrees with a sorted list, across a snapshot`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        var timers = TimerTable<UInt32>()
        var oracle: [(key: UInt32, deadline: Instant, serial: Int)] = []
        var now = 0
        for step in 0..<3000 {
            let key = UInt32(random.number(in: 0...40))
            switch random.number(in: 0...3) {
            case 0, 1:
                let deadline = at(now + random.number(in: 0...50))
                timers.set(key, at: deadline)
                oracle.removeAll { $0.key == key }
                oracle.append((key, deadline, step))
            case 2:
                timers.cancel(key)
                oracle.removeAll { $0.key == key }
            default:
                now += random.number(in: 0...20)
                oracle.sort { ($0.deadline, $0.serial) < ($1.deadline, $1.serial) }
                while let first = oracle.first, first.deadline <= at(now) {
                    #expect(timers.popDue(at: at(now)) == first.key)
                    oracle.removeFirst()
                }
                #expect(timers.popDue(at: at(now)) == nil)
            }
            #expect(timers.next == oracle.map(\.deadline).min())
            if step % 500 == 499 {
                var writer = SnapshotWriter()
                timers.write(to: &writer) { key, w in w.write(key) }
                var reader = SnapshotReader(writer.bytes)
                timers = try TimerTable(from: &reader) { r throws(DecodeError) in try r.read(UInt32.self) }
                try reader.expectEnd()
            }
        }
    }
}

@Suite struct TimeTests {
    @Test func `time saturates instead of wrapping`() {
        #expect(Instant(nanoseconds: .max - 5) + .seconds(1) == .distantFuture)
        #expect(Duration.seconds(Int64.max).inNanoseconds == .max)
        #expect(Duration.milliseconds(10) * 9 / 8 == .microseconds(11_250))
        #expect(Duration.seconds(-3) * 2 == .seconds(-6) && Duration.nanoseconds(-7) / 2 == .nanoseconds(-3))
        let long = Duration.seconds(8_000_000_000)
        #expect(long * 4 == .nanoseconds(Int64.max))
        #expect(long * -4 == .nanoseconds(Int64.min))
        #expect(Instant(nanoseconds: 1_500_000_000).description == "1.500000")
    }
}

@Suite struct HashTests {
    @Test func `the hash of octets depends on every octet, the length and the seed`() {
        for length in 0..<40 {
            let bytes = [UInt8](repeating: 0, count: length)
            let hash = seededHash(bytes.span.bytes, seed: 1)
            #expect(hash != seededHash(bytes.span.bytes, seed: 2))
            #expect(hash != seededHash((bytes + [0]).span.bytes, seed: 1))
            for i in 0..<length {
                var other = bytes
                other[i] = 1
                #expect(hash != seededHash(other.span.bytes, seed: 1))
            }
        }
    }

    @Test func `sets digest alike in any order`() {
        var a = StateDigest(), b = StateDigest()
        for x in UInt64(1)...50 { a.add(x) }
        for x in (UInt64(1)...60).reversed() { b.add(x) }
        for x in UInt64(51)...60 { b.remove(x) }
        #expect(a == b)
    }

    @Test func `random numbers stay in range and repeat from their seed`() {
        var a = RandomNumbers(seed: 5), b = RandomNumbers(seed: 5)
        var seen: Set<Int> = []
        for _ in 0..<1000 {
            let x = a.number(in: -3...3)
            #expect(x == b.number(in: -3...3))
            #expect((-3...3).contains(x))
            seen.insert(x)
        }
        #expect(seen.count == 7)
    }
}

@Suite struct SnapshotTests {
    @Test func `values come back as they were written, and every truncation is refused`() throws {
        var writer = SnapshotWriter()
        writer.write(UInt32(0xdead_beef))
        writer.write(true)
        writer.write("naïve")
        writer.write(Instant?.none)
        writer.write(Instant?.some(Instant(nanoseconds: -4)))
        writer.writeBlock([UInt16](1...5))
        writer.writeList(["a", "b"]) { $1.write($0) }
        func read(_ bytes: [UInt8]) throws -> [UInt16] {
            var reader = SnapshotReader(bytes)
            #expect(try reader.read(UInt32.self) == 0xdead_beef)
            #expect(try reader.readBool())
            #expect(try reader.readString() == "naïve")
            #expect(try reader.readOptionalInstant() == nil)
            #expect(try reader.readOptionalInstant() == Instant(nanoseconds: -4))
            let block = try reader.readBlock(of: UInt16.self)
            #expect(try reader.readList { r throws(DecodeError) in try r.readString() } == ["a", "b"])
            try reader.expectEnd()
            return block
        }
        #expect(try read(writer.bytes) == [1, 2, 3, 4, 5])
        #expect(throws: DecodeError.self) {
            var reader = SnapshotReader(writer.bytes + [0])
            _ = try reader.read(UInt8.self)
            try reader.expectEnd()
        }
        var reader = SnapshotReader([255, 255, 255, 255, 255, 255, 255, 255])
        #expect(throws: DecodeError.self) { _ = try reader.readBlock(of: UInt64.self) }
    }
}
