import CHost
import Foundation
import Records
import Synchronization
import Testing
import Wire

@testable import Host

@Suite struct GaspTests {
    /// Runs `crash` in a child that has a gasp prepared; returns what it sent and the signal that ended it.
    private func gasp(applying index: UInt64, _ crash: @convention(c) () -> Void) throws -> ([UInt8], Int32) {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &ends) == 0)
        let message = [UInt8](0..<116)
        let end = ends[1]
        let child = message.withUnsafeBytes { bytes -> Int32 in
            let child = chost_fork()
            if child == 0 {
                // Only C from here on: this is a copy of a process with many threads.
                var limit = rlimit(rlim_cur: 0, rlim_max: 0)
                setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
                _ = chost_gasp_prepare(end, bytes.baseAddress, bytes.count, 16, 6, 48)
                _ = chost_gasp_install()
                chost_gasp_applying()[0] = index
                chost_gasp_applying()[1] = 0x0203
                crash()
                _exit(0)
            }
            return child
        }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        var datagram = [UInt8](repeating: 0, count: 256)
        let count = recv(ends[0], &datagram, datagram.count, Int32(MSG_DONTWAIT))
        close(ends[0])
        close(ends[1])
        return (Array(datagram.prefix(max(0, count))), status & 0x7f)
    }

    private var expected: [UInt8] {
        var bytes = [UInt8](0..<116)
        for (i, byte) in [0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78].enumerated() { bytes[16 + i] = UInt8(byte) }
        (bytes[6], bytes[7]) = (2, 3)
        return bytes
    }

    @Test func `A segmentation fault sends the prepared message with the record's index and stays a segmentation fault`() throws {
        let (message, signal) = try gasp(applying: 0x1234_5678) { chost_crash_by_null() }
        #expect(message == expected)
        #expect(signal == SIGSEGV)
    }

    @Test func `A fault of the edge's thread names the beginning of the frame in hand, and no record`() throws {
        let (message, signal) = try gasp(applying: 0x1234_5678) {
            // The octets live as long as the process.
            chost_gasp_edge_thread()
            chost_gasp_frame(unsafe chost_gasp_applying(), 16, 0x0708)
            chost_crash_by_null()
        }
        #expect(signal == SIGSEGV)
        #expect(message[16..<24].allSatisfy { $0 == 0 })
        #expect(Array(message[48..<52]) == [7, 8, 0, 16])
        // Two words as this machine writes them.
        #expect(Array(message[52..<56]) == [0x78, 0x56, 0x34, 0x12] && Array(message[60..<62]) == [3, 2])
        #expect(Array(message[68...]) == [UInt8](68..<116))
    }

    @Test func `An abort, as by the watchdog, gasps`() throws {
        let (message, signal) = try gasp(applying: 0x1234_5678) { abort() }
        #expect(message == expected)
        #expect(signal == SIGABRT)
    }

    @Test func `A trap of Swift gasps`() throws {
        let (message, signal) = try gasp(applying: 0x1234_5678) { raise(SIGILL) }
        #expect(message == expected)
        #expect(signal == SIGILL)
    }

    @Test func `A crash gives up the lock of the lease file before it gasps`() throws {
        let file = TemporaryFile()
        let twin = try LeaseFile(path: file.path, controller: .b, lease: .seconds(60))
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (path, end) = (file.path, ends[1])
        let child = path.withCString { path -> Int32 in
            let child = chost_fork()
            if child == 0 {
                // Only C from here on: this is a copy of a process with many threads.
                var limit = rlimit(rlim_cur: 0, rlim_max: 0)
                setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
                let fd = Glibc.open(path, O_RDWR)
                var ready: UInt8 = chost_lock(fd, 0) == 0 ? 1 : 0
                chost_gasp_lock(fd)
                _ = chost_gasp_install()
                write(end, &ready, 1)
                while true { pause() }
            }
            return child
        }
        var ready: UInt8 = 0
        #expect(read(ends[0], &ready, 1) == 1)
        #expect(ready == 1 && twin.isTwinAlive)
        kill(child, SIGABRT)
        var status: Int32 = 0
        waitpid(child, &status, 0)
        #expect(!twin.isTwinAlive)
        #expect(status & 0x7f == SIGABRT)
        close(ends[0])
        close(ends[1])
    }

    @Test func `A process that ends in order does not gasp`() throws {
        let (message, signal) = try gasp(applying: 1) { _exit(0) }
        #expect(message.isEmpty)
        #expect(signal == 0)
    }
}

@Suite struct WatchdogTests {
    @Test func `What does not change for ten looks hangs, and what is idle does not`() {
        let engine = Mutex<UInt64?>(nil), edge = Mutex<UInt64?>(1)
        var rule = Watchdog.Rule([
            .init("the engine") { engine.withLock { $0 } }, .init("the edge") { edge.withLock { $0 } },
        ])
        for turn in 0..<100 {
            edge.withLock { $0 = UInt64(turn) }
            #expect(rule.look() == nil)
        }
        engine.withLock { $0 = 77 }
        for turn in 100..<110 {
            edge.withLock { $0 = UInt64(turn) }
            #expect(rule.look() == nil)
        }
        edge.withLock { $0 = 110 }
        #expect(rule.look() == 0)
    }

    @Test func `A record that ends in time starts the count anew`() {
        let engine = Mutex<UInt64?>(0)
        var rule = Watchdog.Rule([.init("the engine") { engine.withLock { $0 } }])
        for index in 0..<20 {
            engine.withLock { $0 = UInt64(index) }
            for _ in 0..<Watchdog.looks { #expect(rule.look() == nil) }
        }
    }

    @Test func `A warning comes first where there is one, and the end only if it changes nothing`() {
        nonisolated(unsafe) var warnings: [UInt64] = []
        var rule = Watchdog.Rule([.init("the engine", warn: { warnings.append($0) }) { 42 }])
        for _ in 0...Watchdog.looks { #expect(rule.look() == nil) }
        #expect(warnings == [42])
        for _ in 1..<Watchdog.looks { #expect(rule.look() == nil) }
        #expect(rule.look() == 0)
        #expect(warnings == [42])
    }
}
