import Foundation
import NIOSSL
import X509

/// When certificates end.
public enum CertificateFile {
    /// The earliest end of validity of the certificates in a PEM file, and whose it is.
    public static func end(of path: String) throws -> (date: Date, subject: String)? {
        try NIOSSLCertificate.fromPEMFile(path).map { certificate in
            let parsed = try Certificate(derEncoded: certificate.toDERBytes())
            return (parsed.notValidAfter, "\(parsed.subject)")
        }.min { $0.date < $1.date }
    }

    /// How near the end of a certificate is.
    public enum Term: Int, Comparable, Sendable {
        case far, month, week, day, over

        public static func < (a: Term, b: Term) -> Bool { a.rawValue < b.rawValue }

        public init(until end: Date, at now: Date) {
            let days = end.timeIntervalSince(now) / 86_400
            self = days <= 0 ? .over : days <= 1 ? .day : days <= 7 ? .week : days <= 30 ? .month : .far
        }
    }

    /// What an operator should know of it; `nil` while the end is far.
    public static func warning(_ path: String, at now: Date) -> (term: Term, text: String)? {
        guard let (date, subject) = (try? end(of: path)) ?? nil else { return nil }
        let term = Term(until: date, at: now)
        let day = date.formatted(.iso8601.year().month().day())
        switch term {
        case .far: return nil
        case .over: return (term, "\(path): the certificate of \(subject) ended on \(day): nobody accepts it any more")
        case .day, .week, .month:
            let hours = Int(date.timeIntervalSince(now) / 3600)
            let left = hours < 48 ? "\(hours) hours" : "\(hours / 24) days"
            return (term, "\(path): the certificate of \(subject) ends on \(day), in \(left)")
        }
    }
}
