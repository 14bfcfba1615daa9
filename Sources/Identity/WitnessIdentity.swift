import Crypto
import NIOCore
import NIOSSL

/// How a controller and a witness know each other: by a secret for each pair, from which the witness's key pair for this pair
/// and those of both controllers are derived. While the secret is changed there are two: the first is presented, both are
/// accepted.
public enum WitnessIdentity {
    private static func role(_ name: String) -> String { "lockstep witness \(name)" }

    /// What a client names in its hello, so that the witness shows the key pair of that pair. The name itself may hold what
    /// a host name may not.
    static func serverName(pair: String) -> String {
        let digest = SHA256.hash(data: Array("lockstep witness \(pair)".utf8))
        let hex = digest.prefix(16).map { octet in
            let text = String(octet, radix: 16)
            return octet < 16 ? "0" + text : text
        }.joined()
        return "p\(hex).lockstep"
    }

    /// A controller's end.
    public struct Client: Sendable {
        private let context: NIOSSLContext
        private let serverName: String
        private let expected: [[UInt8]]

        /// - Parameters:
        ///   - controller: `A` or `B`.
        ///   - secrets: at least one.
        public init(secrets: [[UInt8]], pair: String, controller: String) throws {
            let first = try SharedKey.first(of: secrets)
            let own = try SharedKey.keyPair(secret: first, pair: pair, role: role(controller))
            let (chain, key) = try SharedKey.material(own, name: "lockstep \(controller)")
            context = try NIOSSLContext(
                configuration: SharedKey.configuration(chain, key, roots: nil, isServer: false))
            serverName = WitnessIdentity.serverName(pair: pair)
            expected = try secrets.map { secret in
                Array(try SharedKey.keyPair(secret: secret, pair: pair, role: role("witness")).publicKey.derRepresentation)
            }
        }

        public func handler() throws -> NIOSSLClientHandler {
            let expected = expected
            return try NIOSSLClientHandler(context: context, serverHostname: serverName) { certificates, promise in
                // Possession of the private key is proven by CertificateVerify (RFC 8446 §4.4.3); here we only look whose.
                let key = try? certificates.first?.extractPublicKey().toSPKIBytes()
                promise.succeed(key.map(expected.contains) ?? false ? .certificateVerified : .failed)
            }
        }
    }

    /// The witness's end, for all of its pairs.
    public struct Server: Sendable {
        public struct Pair: Sendable {
            public var name: String
            /// At least one.
            public var secrets: [[UInt8]]
            public init(name: String, secrets: [[UInt8]]) {
                self.name = name
                self.secrets = secrets
            }
        }
        private let context: NIOSSLContext
        /// SubjectPublicKeyInfo to position of the pair and of the controller.
        private let clients: [[UInt8]: (pair: Int, controller: Int)]

        /// - Parameter controllers: `A` and `B`.
        public init(_ pairs: [Pair], controllers: [String]) throws {
            var clients: [[UInt8]: (pair: Int, controller: Int)] = [:]
            var shown: [String: NIOSSLContextConfigurationOverride] = [:]
            for (position, pair) in pairs.enumerated() {
                let first: [UInt8]
                do { first = try SharedKey.first(of: pair.secrets) } catch { throw IdentityError("pair \(pair.name): \(error)") }
                for secret in pair.secrets {
                    for (number, controller) in controllers.enumerated() {
                        let key = try SharedKey.keyPair(secret: secret, pair: pair.name, role: role(controller))
                        clients[Array(key.publicKey.derRepresentation)] = (position, number)
                    }
                }
                let own = try SharedKey.keyPair(secret: first, pair: pair.name, role: role("witness"))
                let (chain, key) = try SharedKey.material(own, name: "lockstep witness")
                var override = NIOSSLContextConfigurationOverride()
                override.certificateChain = chain.map { .certificate($0) }
                override.privateKey = .privateKey(key)
                shown[serverName(pair: pair.name)] = override
            }
            self.clients = clients
            // Whoever names no pair of ours sees a key that nobody expects.
            let (chain, key) = try SharedKey.material(P256.Signing.PrivateKey(), name: "lockstep witness")
            var configuration = SharedKey.configuration(chain, key, roots: nil, isServer: true)
            let overrides = shown
            configuration.sslContextCallback = { hello, promise in
                promise.succeed(hello.serverHostname.flatMap { overrides[$0] } ?? .noChanges)
            }
            context = try NIOSSLContext(configuration: configuration)
        }

        /// - Parameter proven: told whose key the client has proven, once in the handshake.
        public func handler(_ proven: @escaping @Sendable (_ pair: Int, _ controller: Int) -> Void) -> NIOSSLServerHandler {
            let clients = clients
            return NIOSSLServerHandler(context: context) { certificates, promise in
                guard let key = try? certificates.first?.extractPublicKey().toSPKIBytes(), let client = clients[key] else {
                    return promise.succeed(.failed)
                }
                proven(client.pair, client.controller)
                promise.succeed(.certificateVerified)
            }
        }
    }
}
