import Machine

/// Keys with which a protocol signs and verifies, each with the time in which it does. One type for OSPF, IS-IS, RIP and BFD,
/// after the model of RFC 7210 §2 (the database of long-lived keys) and RFC 8177 §2 (`key-chain`, `send-lifetime`,
/// `accept-lifetime`).
///
/// Who signs at a time: of the keys whose send lifetime includes it, the one whose lifetime began last (RFC 7474 §4.1: "the
/// key with the most recent SendLifetimeStart"); of several that began together, the one with the highest identifier; of
/// several with one identifier, the first in the list. So a new key takes over from the old one at its beginning, whatever
/// the old one's end.
///
/// Where no lifetime includes the time, RFC 2328 §D.3 and RFC 5709 §3.2 decide: "it is unacceptable to revert to an
/// unauthenticated condition, and not advisable to disrupt routing", so the key whose send lifetime ended last is treated "as
/// having an infinite lifetime" until another begins. Before the first lifetime the key that begins first stands in for it
/// likewise.
///
/// All of it is a function of the chain and the time. The time is that of the records (`Instant`), so that both controllers
/// answer alike, and so does a line card with what the engine gave it.
public struct KeyChain: Hashable, Sendable, Codable {
    /// The name under which the configuration has it; empty for keys that are written where they are used.
    public var name: String
    /// At most `keysMaximum`. Identifiers are unique wherever packets carry them.
    public var keys: [Key]

    public static let keysMaximum = 32
    /// Chains of a configuration.
    public static let chainsMaximum = 256

    public init(name: String = "", keys: [Key] = []) {
        self.name = name
        self.keys = keys
    }

    /// Keys without lifetimes, of which the first signs and all verify.
    public init(firstSigns keys: [Key]) {
        self.init(keys: keys)
        for place in self.keys.indices where place > 0 { self.keys[place].send = .never }
    }

    /// A password in clear.
    public static func password(_ text: String) -> KeyChain {
        KeyChain(keys: [Key(id: 0, algorithm: .clearText, secret: Array(text.utf8))])
    }

    /// What a key signs with. Raw values are part of configurations: never reuse one.
    public enum Algorithm: UInt8, Hashable, Sendable, Codable, CaseIterable {
        /// The secret itself (RFC 2328 §D.1, RFC 2453 §4.1, ISO 10589 §9.5, RFC 5880 §6.7.2).
        case clearText = 0
        /// MD5 over the packet and the secret behind it (RFC 2328 §D.4.3, RFC 4822 §3.2, RFC 5880 §6.7.3).
        case md5 = 1
        /// RFC 2104 with MD5 (RFC 5304).
        case hmacMD5 = 2
        /// SHA-1 over the packet with the secret in it (RFC 5880 §6.7.4).
        case sha1 = 3
        /// RFC 2104 with SHA-1 and the SHA-2 family (RFC 4822, RFC 5310, RFC 5709, RFC 7166).
        case hmacSHA1 = 4
        case hmacSHA224 = 5
        case hmacSHA256 = 6
        case hmacSHA384 = 7
        case hmacSHA512 = 8
    }

    /// From `from` on, up to but not including `until`.
    public struct Lifetime: Hashable, Sendable, Codable {
        public var from: Instant
        public var until: Instant

        /// - Parameters:
        ///   - from: `zero` for ever since.
        ///   - until: `distantFuture` for ever.
        public init(from: Instant = .zero, until: Instant = .distantFuture) {
            self.from = from
            self.until = until
        }

        public static let always = Lifetime()
        public static let never = Lifetime(until: .zero)

        public var isNever: Bool { until <= from }
        public func includes(_ time: Instant) -> Bool { from <= time && time < until }
    }

    public struct Key: Hashable, Sendable, Codable {
        /// What packets call the key: 8 bits in OSPFv2, RIP and BFD, 16 in OSPFv3 and RFC 5310; nothing in a password or in
        /// RFC 5304.
        public var id: UInt64
        public var algorithm: Algorithm
        /// 1…254 octets; protocols take less of some algorithms.
        public var secret: [UInt8]
        /// In which it may sign.
        public var send: Lifetime
        /// In which what it signed is accepted. It is `always` unless the operator says otherwise, as with other routers: a
        /// clock that is a little off then costs nothing.
        public var accept: Lifetime
        /// RFC 7474 §3: OSPFv2 sends AuType 3 with a sequence number of 64 bits. Of no meaning elsewhere.
        public var extendedSequence: Bool

        public static let secretMaximum = 254

        public init(
            id: UInt64, algorithm: Algorithm, secret: [UInt8], send: Lifetime = .always, accept: Lifetime = .always,
            extendedSequence: Bool = false
        ) {
            self.id = id
            self.algorithm = algorithm
            self.secret = secret
            self.send = send
            self.accept = accept
            self.extendedSequence = extendedSequence
        }
        /// With the octets of a text in UTF-8 as its secret.
        public init(
            id: UInt64, algorithm: Algorithm, secret: String, send: Lifetime = .always, accept: Lifetime = .always,
            extendedSequence: Bool = false
        ) {
            self.init(
                id: id, algorithm: algorithm, secret: Array(secret.utf8), send: send, accept: accept,
                extendedSequence: extendedSequence)
        }
    }
}

extension KeyChain {
    /// Who signs, and whether a lifetime says so.
    public struct Signing: Hashable, Sendable {
        public var key: Key
        /// No send lifetime includes the time: the key signs as RFC 2328 §D.3 has it.
        public var isOutsideLifetime: Bool
    }

    /// Which key signs at a time; `nil` if none ever does.
    public func signing(at now: Instant) -> Signing? {
        place(at: now).map { Signing(key: keys[$0.place], isOutsideLifetime: $0.isOutside) }
    }

    /// The key that signs at a time; `nil` if none ever does. See the rule above.
    public func sendingKey(at now: Instant) -> Key? { place(at: now).map { keys[$0.place] } }

    /// Whether what the key signed is accepted: in its accept lifetime, and beyond it while it signs beyond its send
    /// lifetime, for both ends must do the same (RFC 2328 §D.3).
    public func isAcceptable(_ key: Key, at now: Instant) -> Bool {
        if key.accept.includes(now) { return true }
        guard let signing = place(at: now), signing.isOutside else { return false }
        return keys[signing.place] == key
    }

    /// The key of an identifier, if it is acceptable. Clear text is not looked for: it carries none.
    public func acceptableKey(_ id: UInt64, at now: Instant) -> Key? {
        keys.first { $0.id == id && $0.algorithm != .clearText && isAcceptable($0, at: now) }
    }

    /// Keys that may sign at some time: what a packet must have room for.
    public var sendingKeys: [Key] { keys.filter { !$0.send.isNever } }

    /// The first point in time after `now` at which `signing(at:)` has another answer; `nil` if it stays.
    public func nextChange(after now: Instant) -> Instant? {
        let current = signing(at: now)
        var next: Instant?
        for key in keys where !key.send.isNever {
            for edge in [key.send.from, key.send.until] where edge > now && edge < .distantFuture {
                if edge < next ?? .distantFuture, signing(at: edge) != current { next = edge }
            }
        }
        return next
    }

    /// When the last send lifetime ends; `nil` if one has no end, or if there is none.
    public var lastEnd: Instant? {
        let end = keys.filter { !$0.send.isNever }.map(\.send.until).max()
        return end == .distantFuture ? nil : end
    }

    private func place(at now: Instant) -> (place: Int, isOutside: Bool)? {
        var best: Int?, ended: Int?, coming: Int?
        for (place, key) in keys.enumerated() where !key.send.isNever {
            if key.send.includes(now) {
                if best.map({ (keys[$0].send.from, keys[$0].id) < (key.send.from, key.id) }) ?? true { best = place }
            } else if key.send.until <= now {
                if ended.map({ (keys[$0].send.until, keys[$0].id) < (key.send.until, key.id) }) ?? true { ended = place }
            } else if coming.map({ (key.send.from, keys[$0].id) < (keys[$0].send.from, key.id) }) ?? true {
                coming = place
            }
        }
        if let best { return (best, false) }
        return (ended ?? coming).map { ($0, true) }
    }
}

extension KeyChain: CustomStringConvertible {
    /// Without secrets.
    public var description: String {
        if !name.isEmpty { return "key chain \(name)" }
        guard let key = sendingKeys.first else { return "none" }
        return key.algorithm == .clearText ? "simple" : "\(key.algorithm) (key \(key.id))"
    }
}

extension KeyChain.Algorithm: CustomStringConvertible {
    public var description: String {
        switch self {
        case .clearText: "clear text"
        case .md5: "keyed MD5"
        case .hmacMD5: "HMAC-MD5"
        case .sha1: "keyed SHA-1"
        case .hmacSHA1: "HMAC-SHA-1"
        case .hmacSHA224: "HMAC-SHA-224"
        case .hmacSHA256: "HMAC-SHA-256"
        case .hmacSHA384: "HMAC-SHA-384"
        case .hmacSHA512: "HMAC-SHA-512"
        }
    }
}
