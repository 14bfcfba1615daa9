import Crypto
import Foundation
import X509

/// A certificate authority for one test, and what it signs, as PEM files in a folder.
struct TestAuthority {
    let folder: String
    private let name: DistinguishedName
    private let key = P256.Signing.PrivateKey()
    private let certificate: Certificate

    var authorityFile: String { folder + "/authority.pem" }

    init(folder: String, name: String = "a test's authority") throws {
        self.folder = folder
        self.name = try DistinguishedName { CommonName(name) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        certificate = try Self.sign(
            subject: self.name, subjectKey: key.publicKey, issuer: self.name, issuerKey: key,
            validity: Date().addingTimeInterval(-3600)...Date().addingTimeInterval(86400)
        ) {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
            Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        }
        try certificate.serializeAsPEM().pemString.write(toFile: authorityFile, atomically: true, encoding: .utf8)
    }

    /// Files of a certificate for both ends of a connection with the loopback's address, and of its key.
    func issue(
        _ name: String, validity: ClosedRange<Date> = Date().addingTimeInterval(-3600)...Date().addingTimeInterval(86400)
    ) throws -> (certificate: String, key: String) {
        let key = P256.Signing.PrivateKey()
        let certificate = try Self.sign(
            subject: try DistinguishedName { CommonName(name) }, subjectKey: key.publicKey, issuer: self.name,
            issuerKey: self.key, validity: validity
        ) {
            Critical(BasicConstraints.notCertificateAuthority)
            try ExtendedKeyUsage([.serverAuth, .clientAuth])
            SubjectAlternativeNames([.ipAddress(.init(contentBytes: [127, 0, 0, 1])), .dnsName(name)])
        }
        let files = (certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
        try certificate.serializeAsPEM().pemString.write(toFile: files.certificate, atomically: true, encoding: .utf8)
        try key.pemRepresentation.write(toFile: files.key, atomically: true, encoding: .utf8)
        chmod(files.key, 0o600)
        return files
    }

    private static func sign(
        subject: DistinguishedName, subjectKey: P256.Signing.PublicKey, issuer: DistinguishedName,
        issuerKey: P256.Signing.PrivateKey, validity: ClosedRange<Date>,
        @ExtensionsBuilder extensions: () throws -> Result<Certificate.Extensions, any Error>
    ) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(subjectKey), notValidBefore: validity.lowerBound,
            notValidAfter: validity.upperBound, issuer: issuer, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try extensions().get(), issuerPrivateKey: .init(issuerKey))
    }
}
