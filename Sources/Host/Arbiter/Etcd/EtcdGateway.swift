import Foundation
import Identity
import Machine
import NIOCore
import NIOHTTP1
import NIOSSL

/// How a cluster is reached.
struct EtcdCluster: Sendable, Hashable {
    /// `https://192.0.2.1:2379`
    var endpoints: [String]
    /// Paths of PEM files. The authority vouches for the cluster; the certificate is ours.
    var authority: String?
    var certificate: String?
    var privateKey: String?
    var user: String?
    var password: String?
}

/// What a cluster is shown and must show; made of files, which may change.
struct EtcdAccess: Sendable {
    /// `nil`: plain HTTP only.
    let tls: NIOSSLContext?
    let password: String?

    init(_ cluster: EtcdCluster) throws {
        tls =
            cluster.endpoints.contains { $0.hasPrefix("https:") }
            ? try NIOSSLContext(configuration: Self.tls(cluster)) : nil
        password = cluster.password
    }

    private static func tls(_ cluster: EtcdCluster) throws -> TLSConfiguration {
        func reading<T>(_ path: String, _ body: (String) throws -> T) throws -> T {
            do { return try body(path) } catch {
                throw EtcdError(description: "cannot use \(path): \(error)")
            }
        }
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let authority = cluster.authority {
            tls.trustRoots = .certificates(try reading(authority) { try NIOSSLCertificate.fromPEMFile($0) })
        }
        if let certificate = cluster.certificate, let privateKey = cluster.privateKey {
            tls.certificateChain = try reading(certificate) {
                try NIOSSLCertificate.fromPEMFile($0).map { .certificate($0) }
            }
            do { try SharedKey.checkRights(ofPrivateKey: privateKey) } catch { throw EtcdError(description: "\(error)") }
            tls.privateKey = .privateKey(try reading(privateKey) { try NIOSSLPrivateKey(file: $0, format: .pem) })
        }
        return tls
    }
}

/// Why etcd did not do what was asked.
struct EtcdError: Error, Sendable, CustomStringConvertible {
    let description: String
    /// Whether the request may have been carried out all the same.
    var isInDoubt = true
    /// Another member may do better.
    var isEndpointBad = true
}

/// The way to one of the cluster's members: one that answers, until it does not.
///
/// Unchecked for the promises' sake; it belongs to one event loop.
final class EtcdGateway: @unchecked Sendable {
    private let cluster: EtcdCluster
    private let access: Renewable<EtcdAccess>
    private let loop: any EventLoop
    /// How long one call may take.
    private let patience: Duration
    private var current = 0
    private var connection: EtcdConnection?
    private var token: String?
    /// The cluster that answered first. Another one knows nothing of what this one has granted.
    private(set) var clusterID: Int64?
    private(set) var revision: Int64 = 0
    private let encoder = JSONEncoder(), decoder = JSONDecoder()

    init(_ cluster: EtcdCluster, _ access: Renewable<EtcdAccess>, patience: Duration, loop: any EventLoop) {
        self.cluster = cluster
        self.access = access
        self.loop = loop
        self.patience = patience
    }

    func stop() { connection?.close("this process ends") }

    var endpoint: String { cluster.endpoints[current] }

    /// The next call goes to another member. What else was asked of this one fails for the same reason.
    private func moveOn(_ failure: EtcdError) {
        connection?.close(failure)
        connection = nil
        current = (current + 1) % cluster.endpoints.count
        token = nil
    }

    /// One call; on this loop.
    func call<Question: Encodable & Sendable, Answer: Decodable & Sendable>(
        _ path: String, _ question: Question, as type: Answer.Type, header: @escaping @Sendable (Answer) -> EtcdMessages.Header?
    ) -> EventLoopFuture<Answer> {
        let place = current
        return authenticated().flatMap { [self] in post(path, question, as: type) }.flatMapThrowing { [self] answer in
            try check(header(answer))
            return answer
        }.flatMapErrorThrowing { [self] error in
            let failure = error as? EtcdError ?? EtcdError(description: "\(cluster.endpoints[place]): \(error)")
            if failure.isEndpointBad, place == current { moveOn(failure) }
            throw failure
        }
    }

    private func authenticated() -> EventLoopFuture<Void> {
        guard token == nil, let user = cluster.user else { return loop.makeSucceededVoidFuture() }
        let question = EtcdMessages.Authenticate(name: user, password: access.value.password ?? "")
        return post("/v3/auth/authenticate", question, as: EtcdMessages.Token.self).map { [self] in token = $0.token }
    }

    private func post<Question: Encodable & Sendable, Answer: Decodable & Sendable>(
        _ path: String, _ question: Question, as type: Answer.Type
    ) -> EventLoopFuture<Answer> {
        let endpoint = endpoint
        let body: Data
        do { body = try encoder.encode(question) } catch {
            return loop.makeFailedFuture(EtcdError(description: "\(endpoint): \(error)", isInDoubt: false))
        }
        let connection = connection.flatMap { $0.isOpen ? $0 : nil } ?? EtcdConnection(endpoint, access.value.tls, patience, loop)
        self.connection = connection
        return connection.post(path, Array(body), token: token).flatMapThrowing { [self] status, bytes in
            guard status == .ok else { throw refusal(status, Data(bytes), endpoint) }
            do { return try decoder.decode(type, from: Data(bytes)) } catch {
                throw EtcdError(description: "\(endpoint): its answer to \(path) makes no sense")
            }
        }
    }

    private func refusal(_ status: HTTPResponseStatus, _ data: Data, _ endpoint: String) -> EtcdError {
        let failure = try? decoder.decode(EtcdMessages.Failure.self, from: data)
        let text = failure?.error ?? failure?.message ?? "HTTP status \(status.code)"
        if text.contains("auth") || status == .unauthorized { token = nil }
        return EtcdError(description: "\(endpoint): \(text)")
    }

    /// The same cluster as ever, and no older than it was.
    private func check(_ header: EtcdMessages.Header?) throws {
        guard let header, let id = header.cluster_id?.value, let seen = header.revision?.value else { return }
        if let known = clusterID, known != id {
            throw EtcdError(
                description: "\(endpoint) belongs to another cluster (\(Self.hex(id))) than the one that answered first "
                    + "(\(Self.hex(known))), so it knows nothing of what was granted; restart this controller if that is intended"
            )
        }
        clusterID = id
        // Answers of several members may overtake each other by a little.
        revision = max(revision, seen)
    }

    private static func hex(_ id: Int64) -> String { String(UInt64(bitPattern: id), radix: 16) }
}
