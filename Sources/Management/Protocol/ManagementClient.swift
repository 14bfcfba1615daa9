import Foundation

/// The operator's end of the socket: blocking, for a command-line program.
public final class ManagementClient {
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// Nobody answers at the socket: the daemon does not run, or not here.
        case unreachable(path: String, reason: String)
        /// The daemon hung up or said nothing in time.
        case lost(reason: String)
        /// What it said is not understood.
        case notUnderstood(ManagementFailure)

        public var description: String {
            switch self {
            case .unreachable(let path, let reason): "no controller answers at \(path): \(reason)"
            case .lost(let reason): reason
            case .notUnderstood(let failure): failure.reason
            }
        }
    }

    private let descriptor: Int32
    private var splitter = LineSplitter()
    private var lines: [[UInt8]] = []
    private var nextID: UInt64 = 1

    public init(path: String) throws(Failure) {
        func unreachable(_ reason: String) -> Failure { .unreachable(path: path, reason: reason) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let octets = Array(path.utf8)
        guard !octets.isEmpty, octets.count < MemoryLayout.size(ofValue: address.sun_path), !octets.contains(0) else {
            throw unreachable("the path of a Unix socket has 1 to \(MemoryLayout.size(ofValue: address.sun_path) - 1) octets")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw unreachable(Self.reason(errno)) }
        let result = withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw unreachable(code == ENOENT ? "there is no such socket; is lockstepd running?" : Self.reason(code))
        }
    }

    deinit { close(descriptor) }

    private static func reason(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }

    /// Sends a request and waits for its final answer.
    /// - Parameters:
    ///   - timeout: longest silence; `nil` waits for ever.
    ///   - progress: gets the answers before the final one.
    public func ask(
        _ command: ManagementCommand, author: String, timeout: Duration? = .seconds(10),
        progress: (ManagementResult) -> Void = { _ in }
    ) throws(Failure) -> ManagementResult {
        let id = nextID
        nextID += 1
        let line: [UInt8]
        do {
            line = try ManagementCodec.line(ManagementRequest(id: id, author: author, command: command))
        } catch {
            throw .notUnderstood(ManagementFailure(.badRequest, "the request cannot be written: \(error)"))
        }
        guard line.count <= ManagementProtocol.lineLengthMaximum else {
            throw .notUnderstood(ManagementFailure(.badRequest, "the request is longer than a controller accepts"))
        }
        try send(line)
        while true {
            let line = try receive(timeout)
            let response: ManagementResponse
            do throws(ManagementFailure) {
                response = try ManagementCodec.response(line)
            } catch {
                throw .notUnderstood(error)
            }
            // 0 answers a line whose number was not understood.
            guard response.id == id || response.id == 0 else { continue }
            if response.isFinal { return response.result }
            progress(response.result)
        }
    }

    private func send(_ bytes: [UInt8]) throws(Failure) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                unsafe Foundation.send(descriptor, buffer.baseAddress! + sent, buffer.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno != EINTR {
                throw .lost(reason: "the controller hung up: \(Self.reason(errno))")
            }
        }
    }

    private func receive(_ timeout: Duration?) throws(Failure) -> [UInt8] {
        while lines.isEmpty {
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds = timeout.map { Int32(clamping: $0.components.seconds * 1000) } ?? -1
            let ready = unsafe poll(&wait, 1, milliseconds)
            if ready == 0 { throw .lost(reason: "the controller did not answer in \(milliseconds / 1000) s") }
            if ready < 0 {
                if errno == EINTR { continue }
                throw .lost(reason: Self.reason(errno))
            }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count == 0 { throw .lost(reason: "the controller hung up before it answered") }
            if count < 0 {
                if errno == EINTR { continue }
                throw .lost(reason: Self.reason(errno))
            }
            do throws(LineSplitter.LineTooLong) {
                lines += try splitter.append(buffer[..<count])
            } catch {
                throw .lost(reason: "the controller's answer is too long")
            }
        }
        return lines.removeFirst()
    }
}
