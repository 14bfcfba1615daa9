import CHost
import Configuration
import Foundation
import Glibc
import Management
import NIOCore
import Records
import Synchronization
import Testing
import Wire

@testable import Host

@Suite struct SelfTestTests {
    private func good() -> SelfTest.Facts {
        var facts = SelfTest.Facts()
        facts.devices = [.init(device: "svc0", flags: Int32(IFF_UP) | Int32(IFF_RUNNING), mtu: 1500, openFailure: nil)]
        facts.mtuWanted = ["svc0": 1500]
        return facts
    }
    private func fatal(_ facts: SelfTest.Facts, _ rule: ControllerFile.Guard = .check) -> [String] {
        SelfTest.findings(facts, guard: rule).filter(\.isFatal).map(\.message)
    }
    private func doubtful(_ facts: SelfTest.Facts) -> [String] {
        SelfTest.findings(facts, guard: .check).filter { !$0.isFatal }.map(\.message)
    }

    @Test func `A host where nothing is missing has no findings`() {
        #expect(SelfTest.findings(good(), guard: .check).isEmpty)
    }

    @Test func `A missing capability is named with the command that gives it`() {
        var facts = good()
        facts.hasRawCapability = false
        #expect(fatal(facts).count == 1)
        #expect(fatal(facts)[0].hasPrefix("CAP_NET_RAW is missing"))
        #expect(fatal(facts)[0].contains("setcap"))
    }

    @Test func `A device that is absent is fatal, one that is down or without carrier is said`() {
        var facts = good()
        facts.devices[0].flags = -ENODEV
        #expect(fatal(facts) == ["device svc0 does not exist here; see: ip link show"])
        facts.devices[0].flags = 0
        #expect(fatal(facts).isEmpty)
        #expect(doubtful(facts) == ["device svc0 is down; run: ip link set svc0 up"])
        facts.devices[0].flags = Int32(IFF_UP)
        #expect(doubtful(facts) == ["device svc0 has no carrier"])
    }

    @Test func `A device with a smaller MTU than the router's interface is said`() {
        var facts = good()
        facts.mtuWanted = ["svc0": 9000]
        #expect(doubtful(facts).count == 1)
        #expect(doubtful(facts)[0].contains("ip link set svc0 mtu 9000"))
    }

    @Test func `Forwarding without a guard rule is fatal unless the operator says so`() {
        var facts = good()
        facts.isForwarding = true
        facts.guardFailure = "there is no rule"
        #expect(fatal(facts).count == 1)
        #expect(fatal(facts)[0].contains("guard: install"))
        #expect(fatal(facts, .ignore).isEmpty)
        facts.guardFailure = nil
        #expect(fatal(facts).isEmpty)
    }

    @Test func `A redundancy link that is not there, or a datastore that cannot be written, keeps nobody from starting`() {
        var facts = good()
        facts.redundancyFailure = "10.0.0.1, our address on the redundancy link, is on no device of this host"
        facts.datastoreFailure = "the datastore's directory /nowhere cannot be written"
        #expect(fatal(facts).isEmpty)
        #expect(doubtful(facts) == [facts.redundancyFailure!, facts.datastoreFailure!])
    }

    @Test func `The guard rule that is written is found complete, and a missing address is named`() {
        let addresses = [IPAddress("198.18.0.1")!, IPAddress("2001:db8::1")!]
        let text = GuardRule.text(for: addresses)
        #expect(GuardRule.missing(for: addresses, in: text) == nil)
        let other = IPAddress("198.18.0.11")!
        #expect(GuardRule.missing(for: addresses + [other], in: text) == "no rule drops what is forwarded to 198.18.0.11")
        #expect(GuardRule.missing(for: addresses, in: "table inet lockstep { }") != nil)
    }

    @Test func `A shared key that others can read is refused`() throws {
        let file = TemporaryFile()
        try Data("0123456789abcdef0123456789abcdef\n".utf8).write(to: URL(fileURLWithPath: file.path))
        chmod(file.path, 0o644)
        let error = #expect(throws: ConfigurationFiles.Refusal.self) { _ = try ConfigurationFiles.sharedKey(file.path) }
        #expect(error?.description.contains("chmod 600") == true)
        chmod(file.path, 0o600)
        #expect(try ConfigurationFiles.sharedKey(file.path) == Array("0123456789abcdef0123456789abcdef".utf8))
    }

    @Test func `The capture filter takes the virtual MAC, groups, advertisements and answers to our own questions`() {
        #expect(
            PacketPort.filter(
                macs: [MACAddress("00:00:5e:00:01:01")!], own: MACAddress("02:00:00:00:00:07")!, advertisementType: 0x88b5)
                == "ether host 00:00:5e:00:01:01 or ether multicast or ether proto 0x88b5 or "
                + "(ether dst 02:00:00:00:00:07 and "
                + "(ether[12:2] = 0x0806 or (ether[12:2] = 0x86dd and ether[20] = 58 and ether[54] = 136) or "
                + "(ether[12:2] = 0x8100 and "
                + "(ether[16:2] = 0x0806 or (ether[16:2] = 0x86dd and ether[24] = 58 and ether[58] = 136)))))")
    }
}

/// Answers `show version`, fails on anything else.
private struct FixedHandler: ManagementHandler {
    func handle(
        _ command: ManagementCommand, author: String, progress: @Sendable (ManagementResult) async throws -> Void
    ) async -> ManagementResult {
        if case .switchover = command {
            try? await progress(.done("first"))
            return .done("last of \(author)")
        }
        return .failure(ManagementFailure(.refused, "no"))
    }
}

@Suite struct ManagementServerTests {
    /// What comes back for some lines, until as many answers as `count`. On a thread of its own: it waits, and the
    /// runtime's few threads are needed for the answers.
    private func exchange(_ path: String, _ lines: [String], answers count: Int) async throws -> [ManagementResponse] {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Result { try Self.exchangeNow(path, lines, answers: count) })
            }
        }
    }
    private static func exchangeNow(_ path: String, _ lines: [String], answers count: Int) throws -> [ManagementResponse] {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(status == 0)
        for line in lines { _ = line.withCString { send(fd, $0, strlen($0), Int32(MSG_NOSIGNAL)) } }
        var splitter = LineSplitter()
        var result: [ManagementResponse] = []
        while result.count < count {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let size = recv(fd, &buffer, buffer.count, 0)
            if size <= 0 { break }
            for line in try splitter.append(buffer[..<size]) { result.append(try ManagementCodec.response(line)) }
        }
        return result
    }

    @Test func `Requests on one connection are answered by their number, steps before the end`() async throws {
        let file = TemporaryFile()
        let server = try ManagementServer(path: file.path, handler: FixedHandler())
        defer { server.stop() }
        let order = try ManagementCodec.line(
            ManagementRequest(id: 7, author: "me", command: .switchover(SwitchoverOrder())))
        let answers = try await exchange(file.path, [String(decoding: order, as: UTF8.self)], answers: 2)
        #expect(answers.map(\.id) == [7, 7])
        #expect(answers.map(\.isFinal) == [false, true])
        #expect(answers.last?.result == .done("last of me"))
    }

    @Test func `A line that is no request is answered with the reason and the connection stays`() async throws {
        let file = TemporaryFile()
        let server = try ManagementServer(path: file.path, handler: FixedHandler())
        defer { server.stop() }
        let good = try ManagementCodec.line(ManagementRequest(id: 3, author: "", command: .showTCP))
        let answers = try await exchange(
            file.path, ["what\n", #"{"version":9,"id":2,"command":"show tcp"}"# + "\n", String(decoding: good, as: UTF8.self)],
            answers: 3)
        #expect(answers.count == 3)
        #expect(answers.allSatisfy { if case .failure = $0.result { true } else { false } })
        #expect(answers.map(\.id) == [0, 2, 3])
    }

    @Test func `A socket that somebody listens on is not taken away, one that was left behind is`() throws {
        let file = TemporaryFile()
        let server = try ManagementServer(path: file.path, handler: FixedHandler())
        #expect(throws: ManagementServer.Failure.self) {
            _ = try ManagementServer(path: file.path, handler: FixedHandler())
        }
        server.stop()
        // Left behind: bound, but nobody listens.
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(file.path.utf8)) }
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        close(fd)
        try ManagementServer(path: file.path, handler: FixedHandler()).stop()
    }
}
