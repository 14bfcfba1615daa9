import Crypto
import Foundation
import Identity
import NIOCore
import NIOSSL
import Records
import X509

/// How the two controllers know each other on the replication channel.
public enum ChannelSecurity: Sendable {
    /// A secret that both hold. Each controller derives from it both key pairs, its own and its twin's, presents the one
    /// and accepts exactly the other; so the channel is ordinary TLS 1.3 with forward secrecy, and a controller cannot
    /// be made to talk to itself.
    ///
    /// While it is changed there are two: the first is presented, both are accepted.
    case sharedKeys([[UInt8]])
    /// PEM files: our certificate chain and key, the authority that signed the twin's, and the name in it, if it matters.
    case certificates(certificate: String, privateKey: String, authority: String, peerName: String?)
    /// Anybody on the link can be the twin.
    case insecure
}

/// Why no channel can be made from what the configuration names.
public struct ChannelIdentityError: Error, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Everything that a TLS session of the channel needs, read and derived when the files change.
struct ChannelIdentity: Sendable {
    /// `nil`: no TLS.
    let client: NIOSSLContext?
    let server: NIOSSLContext?
    /// The public keys of which the twin must prove one, as SubjectPublicKeyInfo; `nil` when an authority vouches for it.
    let expectedPeerKeys: [[UInt8]]?
    /// The name that the twin's certificate must carry.
    let expectedPeerName: String?

    /// Of a client that is not one of ours, for tests.
    init(client: NIOSSLContext) {
        (self.client, server, expectedPeerKeys, expectedPeerName) = (client, client, nil, nil)
    }

    init(_ security: ChannelSecurity, pair: String, controller: ControllerID) throws {
        switch security {
        case .insecure:
            (client, server, expectedPeerKeys, expectedPeerName) = (nil, nil, nil, nil)
        case .sharedKeys(let secrets):
            let own = try Self.keyPair(secret: try SharedKey.first(of: secrets), pair: pair, controller: controller)
            let (chain, key) = try SharedKey.material(own, name: "lockstep \(pair) \(controller)")
            client = try NIOSSLContext(configuration: SharedKey.configuration(chain, key, roots: nil, isServer: false))
            server = try NIOSSLContext(configuration: SharedKey.configuration(chain, key, roots: nil, isServer: true))
            expectedPeerKeys = try secrets.map { secret in
                Array(try Self.keyPair(secret: secret, pair: pair, controller: controller.other).publicKey.derRepresentation)
            }
            expectedPeerName = nil
        case .certificates(let certificate, let privateKey, let authority, let peerName):
            let chain = try Self.reading(certificate) { try NIOSSLCertificate.fromPEMFile($0) }
            try SharedKey.checkRights(ofPrivateKey: privateKey)
            let key = try Self.reading(privateKey) { try NIOSSLPrivateKey(file: $0, format: .pem) }
            let roots = try Self.reading(authority) { try NIOSSLCertificate.fromPEMFile($0) }
            do {
                client = try NIOSSLContext(configuration: SharedKey.configuration(chain, key, roots: roots, isServer: false))
                server = try NIOSSLContext(configuration: SharedKey.configuration(chain, key, roots: roots, isServer: true))
            } catch {
                throw ChannelIdentityError("\(certificate) and \(privateKey) do not belong together (\(error))")
            }
            expectedPeerKeys = nil
            expectedPeerName = peerName
        }
    }

    private static func reading<T>(_ path: String, _ body: (String) throws -> T) throws -> T {
        do { return try body(path) } catch { throw ChannelIdentityError("cannot use \(path): \(error)") }
    }

    /// The same secret and pair name give the same key pair on both controllers.
    static func keyPair(secret: [UInt8], pair: String, controller: ControllerID) throws -> P256.Signing.PrivateKey {
        try SharedKey.keyPair(secret: secret, pair: pair, role: "lockstep channel \(controller)")
    }

    func makeHandler(isServer: Bool) throws -> NIOSSLHandler? {
        guard let client, let server else { return nil }
        guard let expected = expectedPeerKeys else {
            return isServer
                ? NIOSSLServerHandler(context: server)
                : try NIOSSLClientHandler(context: client, serverHostname: nil)
        }
        let verify: NIOSSLCustomVerificationCallback = { certificates, promise in
            // Possession of the private key is proven by CertificateVerify (RFC 8446 §4.4.3); here we only look whose.
            let key = try? certificates.first?.extractPublicKey().toSPKIBytes()
            promise.succeed(key.map(expected.contains) ?? false ? .certificateVerified : .failed)
        }
        return isServer
            ? NIOSSLServerHandler(context: server, customVerificationCallback: verify)
            : try NIOSSLClientHandler(context: client, serverHostname: nil, customVerificationCallback: verify)
    }

    /// Whether the certificate carries the name that the configuration asks for: a DNS name, or for old certificates
    /// without any the common name.
    func accepts(_ certificate: NIOSSLCertificate) -> Bool {
        guard let expectedPeerName else { return true }
        guard let parsed = try? Certificate(derEncoded: certificate.toDERBytes()) else { return false }
        var names: [String] = []
        if let alternatives = try? parsed.extensions.subjectAlternativeNames {
            for case .dnsName(let name) in alternatives { names.append(name) }
        }
        if names.isEmpty {
            for relative in parsed.subject {
                for attribute in relative where attribute.type == .RDNAttributeType.commonName {
                    names.append(attribute.value.description)
                }
            }
        }
        return names.contains { $0.lowercased() == expectedPeerName.lowercased() }
    }
}
