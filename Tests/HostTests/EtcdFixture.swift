import CHost
import Foundation
import Glibc
import Records

@testable import Host

/// A cluster of real etcd members on the loopback, in a folder that goes away with it.
final class EtcdFixture: @unchecked Sendable {
    struct Missing: Error {}

    struct Member {
        var name: String
        var client: Int
        var peer: Int
        var process: Process?
        var endpoint: String { "http://127.0.0.1:\(client)" }
    }

    static let binary = ["/usr/bin/etcd", "/usr/local/bin/etcd"].first { FileManager.default.isExecutableFile(atPath: $0) }
    static let isMissing = binary == nil

    let folder: String
    var members: [Member]
    /// Whose certificates members and clients must have.
    private let authority: TestAuthority?
    private let serverFiles: (certificate: String, key: String)?

    /// - Parameters:
    ///   - ports: of a member, to stand in for another cluster's; any free ones otherwise.
    ///   - authority: members speak TLS, and want a certificate of their clients.
    init(count: Int, ports: [Int] = [], authority: TestAuthority? = nil) throws {
        self.authority = authority
        serverFiles = try authority?.issue("member")
        folder = NSTemporaryDirectory() + "/lockstep-etcd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let free = try Self.freePorts(count * 2)
        members = (0..<count).map { number in
            Member(
                name: "m\(number)", client: number < ports.count ? ports[number] : free[number * 2], peer: free[number * 2 + 1])
        }
        for number in members.indices { try start(number) }
    }

    /// Nothing of it runs any more.
    func stop() {
        for member in members {
            guard let process = member.process, process.isRunning else { continue }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: folder)
    }

    var endpoints: [String] { members.map { authority == nil ? $0.endpoint : "https" + $0.endpoint.dropFirst(4) } }

    func start(_ number: Int) throws {
        guard let binary = Self.binary else { throw Missing() }
        let member = members[number]
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        let cluster = members.map { "\($0.name)=http://127.0.0.1:\($0.peer)" }.joined(separator: ",")
        let peer = "http://127.0.0.1:\(member.peer)"
        let endpoint = endpoints[number]
        process.arguments = [
            "--name", member.name, "--data-dir", "\(folder)/\(member.name)", "--listen-client-urls", endpoint,
            "--advertise-client-urls", endpoint, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--initial-cluster-token", folder, "--heartbeat-interval", "100",
            "--election-timeout", "1000", "--log-level", "error",
        ]
        if let authority, let serverFiles {
            process.arguments! += [
                "--cert-file", serverFiles.certificate, "--key-file", serverFiles.key, "--client-cert-auth",
                "--trusted-ca-file", authority.authorityFile,
            ]
        }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        members[number].process = process
    }

    func signal(_ number: Int, _ signal: Int32) {
        guard let process = members[number].process else { return }
        kill(process.processIdentifier, signal)
        if signal == SIGKILL { process.waitUntilExit() }
        guard signal == SIGSTOP else { return }
        // One of its threads has to take the signal before all of them stand still: the kernel says when they do.
        var info = siginfo_t()
        while waitid(P_PID, id_t(process.processIdentifier), &info, WSTOPPED | WEXITED | WNOWAIT) != 0, errno == EINTR {}
    }

    /// Which member leads, once they agree.
    func leader() async throws -> Int {
        while true {
            // A read that must be the newest is answered when there is a leader, and not before.
            for member in members where member.process?.isRunning ?? false {
                _ = try? await Self.post(member.endpoint + "/v3/kv/range", ["key": Data("leader".utf8).base64EncodedString()])
            }
            for (number, member) in members.enumerated() where member.process?.isRunning ?? false {
                guard let status = try? await Self.post(member.endpoint + "/v3/maintenance/status", [:]),
                    let leader = status["leader"] as? String, leader != "0",
                    let header = status["header"] as? [String: Any], header["member_id"] as? String == leader
                else { continue }
                return number
            }
        }
    }

    func delete(_ key: String) async throws {
        _ = try await Self.post(endpoints[0] + "/v3/kv/deleterange", ["key": Data(key.utf8).base64EncodedString()])
    }

    /// By a socket and a few lines of HTTP: another way than the one under test.
    static func post(_ url: String, _ body: [String: Any]) async throws -> [String: Any] {
        let target = URL(string: url)!
        let content = try JSONSerialization.data(withJSONObject: body)
        return try await Task.detached {
            let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(fd) }
            var limit = timeval(tv_sec: 2, tv_usec: 0)
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            guard Sockets.connect(fd, .v4(.init(raw: 0x7f00_0001)), UInt16(target.port ?? 0)) == 0 else {
                throw SystemError("connect")
            }
            let head =
                "POST \(target.path) HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: \(content.count)\r\n\r\n"
            let request = Array(head.utf8) + Array(content)
            guard write(fd, request, request.count) == request.count else { throw SystemError("write") }
            var answer: [UInt8] = []
            var part = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(fd, &part, part.count)
                guard count > 0 else { break }
                answer += part.prefix(count)
            }
            let text = String(decoding: answer, as: UTF8.self)
            guard let end = text.range(of: "\r\n\r\n"),
                let value = try JSONSerialization.jsonObject(with: Data(text[end.upperBound...].utf8)) as? [String: Any]
            else { throw SystemError("read") }
            return UncheckedDictionary(value: value)
        }.value.value
    }
    private struct UncheckedDictionary: @unchecked Sendable {
        var value: [String: Any]
    }

    private static func freePorts(_ count: Int) throws -> [Int] {
        var open: [Int32] = []
        defer { for fd in open { close(fd) } }
        return try (0..<count).map { _ in
            let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            open.append(fd)
            try Sockets.bind(fd, .v4(.init(raw: 0x7f00_0001)), 0)
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            _ = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
            }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }

    /// - Parameter reached: how, if not by the endpoints alone.
    func probe(
        _ controller: ControllerID, session: UInt64? = nil, ttl: Int64 = 2, reached: EtcdCluster? = nil
    ) throws -> VoteProbe {
        let settings = EtcdLink.Settings(
            cluster: reached ?? EtcdCluster(endpoints: endpoints), prefix: "/lockstep", pair: "r1", controller: controller,
            session: session ?? UInt64(controller.rawValue) + 1, ttl: ttl)
        return try VoteProbe { sink in try VoteThread { try EtcdLink(settings, sink, $0) } }
    }
}
