import Crypto
import Foundation
import NIOSSL
import X509

/// Why an identity cannot be made from what the configuration names.
public struct IdentityError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A secret that several programs hold, and the key pairs that they derive from it: each derives all of them, presents its
/// own and accepts exactly the others'. So two programs with the same secret speak ordinary TLS 1.3 with forward secrecy,
/// and none can be made to talk to itself.
public enum SharedKey {
    /// The least length of a secret, in octets.
    public static let lengthMinimum = 16
    /// Octets of a key file that is read at all.
    private static let fileMaximum = 64 << 10

    /// The one that is presented, if all of them are long enough.
    public static func first(of secrets: [[UInt8]]) throws -> [UInt8] {
        for secret in secrets where secret.count < lengthMinimum {
            throw IdentityError("the shared key has \(secret.count) octets; at least \(lengthMinimum) are needed")
        }
        guard let first = secrets.first else { throw IdentityError("there is no shared key") }
        return first
    }

    /// RFC 5869: the same secret, pair name and role give the same key pair everywhere.
    /// - Parameter role: whose key pair, in a protocol that no other role of the secret has.
    public static func keyPair(secret: [UInt8], pair: String, role: String) throws -> P256.Signing.PrivateKey {
        let input = SymmetricKey(data: secret)
        // About one number in 2^32 is not below the order of P-256; then the next one is.
        for attempt in 0..<16 {
            let derived = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: input, salt: Array(pair.utf8), info: Array("\(role) \(attempt)".utf8), outputByteCount: 32)
            let raw = unsafe derived.withUnsafeBytes { unsafe Array($0) }
            if let key = try? P256.Signing.PrivateKey(rawRepresentation: raw) { return key }
        }
        throw IdentityError("no key pair can be derived from the shared key")
    }

    /// A certificate around a key. Its dates are of no meaning: the key itself is what the other end accepts.
    public static func selfSigned(_ key: P256.Signing.PrivateKey, name: String) throws -> String {
        let key = Certificate.PrivateKey(key)
        let subject = try DistinguishedName { CommonName(name) }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
            notValidBefore: Date(timeIntervalSince1970: 0), notValidAfter: Date(timeIntervalSince1970: 4_102_444_800),
            issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions(), issuerPrivateKey: key)
        return try certificate.serializeAsPEM().pemString
    }

    /// The certificate and key that swift-nio-ssl wants.
    public static func material(
        _ key: P256.Signing.PrivateKey, name: String
    ) throws -> (chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) {
        let certificate = try selfSigned(key, name: name)
        return (
            try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)),
            try NIOSSLPrivateKey(bytes: Array(key.pemRepresentation.utf8), format: .pem)
        )
    }

    /// TLS 1.3 and nothing else, and both sides show a certificate.
    public static func configuration(
        _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey, roots: [NIOSSLCertificate]?, isServer: Bool
    ) -> TLSConfiguration {
        var configuration =
            isServer
            ? TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            : TLSConfiguration.makeClientConfiguration()
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(key)
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates(roots ?? [])
        return configuration
    }

    /// A private key that any user of the host can read is nobody's secret. Its group may: that is how key stores hand out
    /// theirs.
    public static func checkRights(ofPrivateKey path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { throw IdentityError("\(path): \(String(cString: strerror(errno)))") }
        guard status.st_mode & 0o007 == 0 else {
            throw IdentityError("\(path): everybody on this host may read or write this private key; run: chmod o-rwx \(path)")
        }
    }

    /// The secret in a key file: its octets without the line end. Others must not be able to read it.
    public static func read(_ path: String) throws -> [UInt8] {
        var status = stat()
        guard stat(path, &status) == 0 else { throw IdentityError("\(path): \(String(cString: strerror(errno)))") }
        guard status.st_mode & 0o077 == 0 else {
            throw IdentityError("\(path): others than its owner may read or write the shared key; run: chmod 600 \(path)")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw IdentityError("\(path): cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { try? handle.close() }
        var octets = Array(try handle.read(upToCount: fileMaximum + 1) ?? Data())
        guard octets.count <= fileMaximum else {
            throw IdentityError("\(path): more than \(fileMaximum >> 10) KiB is no shared key")
        }
        while let last = octets.last, last == 10 || last == 13 { octets.removeLast() }
        guard octets.count >= lengthMinimum else {
            throw IdentityError(
                "\(path): the shared key has \(octets.count) octets, at least \(lengthMinimum) are needed; "
                    + "make one with: openssl rand -hex 32 > \(path)")
        }
        return octets
    }
}
