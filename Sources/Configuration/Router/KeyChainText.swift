import Machine
import Records

/// The section `key-chains`, and the key `key-chain` of protocols that sign with one.
enum KeyChainText {
    private static let algorithms: [(word: String, value: KeyChain.Algorithm)] = [
        ("clear-text", .clearText), ("md5", .md5), ("hmac-md5", .hmacMD5), ("sha-1", .sha1), ("hmac-sha-1", .hmacSHA1),
        ("hmac-sha-224", .hmacSHA224), ("hmac-sha-256", .hmacSHA256), ("hmac-sha-384", .hmacSHA384),
        ("hmac-sha-512", .hmacSHA512),
    ]

    /// These algorithms, as they are written everywhere.
    static func kind(of some: [KeyChain.Algorithm]) -> Kind<KeyChain.Algorithm> {
        .choice(some.compactMap { value in algorithms.first { $0.value == value } })
    }

    static func word(_ algorithm: KeyChain.Algorithm) -> String { algorithms.first { $0.value == algorithm }?.word ?? "" }

    // MARK: key-chains

    static var section: Section<KeyChain> {
        // One for all chains of the list.
        let name = Kind<String>.name("the name of the chain").once { "key chain '\($0)' is written twice" }
        return Section(
            KeyChain(),
            foreign: ["key-chain": "name", "key": "keys", "key-string": "secret in keys", "lifetime": "send and accept in keys"]
        ) {
            Setting("name", \.name, name, "By which protocols call it.").required()
            Setting(
                "keys", each: \.keys, atMost: KeyChain.keysMaximum,
                "Of those in their send lifetime the one that began last signs; all in their accept lifetime verify."
            ) { _ in key }.required()
        } check: { chain, fields in
            if fields["keys"]?.list(atMost: .max)?.isEmpty == true { fields["keys"]?.error("at least one key is needed") }
            if !chain.keys.isEmpty, chain.sendingKeys.isEmpty {
                fields["keys"]?.error(
                    "no key of '\(chain.name)' ever signs; one needs send: always, or a lifetime: send: {from: …, until: …}")
            }
            // RFC 5709 §3.2: a new key begins no later than the one before ends.
            for gap in chain.gaps {
                fields["keys"]?.warn(
                    "no key is in its send lifetime from \(gap.from.rfc3339) to \(gap.until.rfc3339); key \(gap.key.id) signs on "
                        + "until then")
            }
        }
    }

    private static var key: Section<KeyChain.Key> {
        Section(
            KeyChain.Key(id: 0, algorithm: .hmacSHA256, secret: [UInt8]()),
            foreign: [
                "key": "secret", "key-string": "secret", "password": "secret", "type": "algorithm",
                "cryptographic-algorithm": "algorithm", "crypto-algorithm": "algorithm", "key-id": "id",
                "send-lifetime": "send", "accept-lifetime": "accept", "lifetime": "send and accept",
            ]
        ) {
            Setting(
                "id", \.id, .number(0...UInt64.max).once { "there is another key \($0)" },
                "What packets call it: up to 255 in OSPFv2, RIP and BFD, 65535 in OSPFv3 and IS-IS."
            ).required()
            Setting("algorithm", \.algorithm, kind(of: KeyChain.Algorithm.allCases), "How it signs; not every protocol has each.")
                .always()
            Setting("secret", \.secret, .octets(1...KeyChain.Key.secretMaximum), "The key itself.").required()
            lifetime("send", \.send, "When it may sign.")
            lifetime("accept", \.accept, "When what it signed is accepted.")
            Setting("extended-sequence", \.extendedSequence, .flag, "OSPFv2: RFC 7474; not with md5.")
        }
    }

    /// `always`, `never`, or from when until when.
    private static func lifetime(
        _ key: String, _ path: WritableKeyPath<KeyChain.Key, KeyChain.Lifetime>, _ sentence: String
    ) -> Setting<KeyChain.Key> {
        let section = Section<KeyChain.Lifetime>(
            .always,
            foreign: [
                "start": "from", "begin": "from", "start-time": "from", "start-date-time": "from", "end": "until",
                "to": "until", "end-time": "until", "end-date-time": "until", "stop": "until",
            ],
            short: .init(values: "always or never") { field, lifetime in
                guard let word = field.choice(["always", "never"]) else { return false }
                lifetime = word == "never" ? .never : .always
                return true
            }
        ) {
            Setting("from", \.beginning, .time, "Its first moment; ever since otherwise.")
            Setting("until", \.end, .time, "Its end, the first moment in which it is over; never otherwise.")
        } check: { lifetime, fields in
            if lifetime.isNever {
                (fields["until"] ?? fields.field).error(
                    "this is not after from, \(lifetime.from.rfc3339); for a key that is not used so, write \(key): never")
            }
        }
        var setting = Setting<KeyChain.Key>(key, in: path, sentence) { _ in section }
        let write = setting.write
        setting.text = { $0[keyPath: path] == .always ? "always" : nil }
        setting.differs = { $0[keyPath: path] != $1[keyPath: path] }
        setting.write = { root, writer in
            if root[keyPath: path].isNever { writer.line(key, "never") } else { write(root, &writer) }
        }
        return setting
    }

    // MARK: key-chain

    /// What a protocol can do with a key.
    struct Use: Sendable {
        var name: String
        var algorithms: [KeyChain.Algorithm]
        /// Identifiers of keys that packets name.
        var identifiers: ClosedRange<UInt64>
        /// Where the width of an identifier is from.
        var source: String
        /// Algorithms whose packets name no key.
        var nameless: [KeyChain.Algorithm] = [.clearText]
        /// Octets of a secret, at most.
        var secretMaximum: @Sendable (KeyChain.Algorithm) -> Int

        /// What is wrong with a key; `nil`: nothing.
        func problem(_ key: KeyChain.Key) -> String? {
            guard algorithms.contains(key.algorithm) else {
                let possible = Spelling.choice(algorithms.map(KeyChainText.word))
                return "has the algorithm \(KeyChainText.word(key.algorithm)), which \(name) does not know; it can be \(possible)"
            }
            if !nameless.contains(key.algorithm), !identifiers.contains(key.id) {
                return "has a number that \(name) has no room for (\(source)); give it one from \(identifiers.lowerBound) to "
                    + "\(identifiers.upperBound)"
            }
            let maximum = secretMaximum(key.algorithm)
            if key.secret.count > maximum {
                return
                    "has a secret of \(key.secret.count) octets; with \(KeyChainText.word(key.algorithm)) \(name) takes at most "
                    + "\(maximum)"
            }
            if key.extendedSequence, key.algorithm == .md5 {
                return "has extended-sequence with md5; RFC 7474 goes with the HMAC algorithms"
            }
            return nil
        }
    }

    /// The reference to one of these chains, in place of keys.
    static func reference(_ chains: [KeyChain], _ use: Use) -> Setting<KeyChain> {
        let kind = Kind<String>.known("key chain", chains.map(\.name))
        var setting = Setting<KeyChain>(
            key: "key-chain", sentence: "One of key-chains, whose keys change by time.", values: kind.values
        ) { fields, root in
            guard let field = fields["key-chain"], let name = kind.read(field),
                let chain = chains.first(where: { $0.name == name })
            else { return false }
            root = chain
            for key in chain.keys {
                if let problem = use.problem(key) { field.error("key \(key.id) of key chain '\(name)' \(problem)") }
            }
            return true
        }
        setting.words = kind.words
        setting.text = { $0.name.isEmpty ? nil : kind.text($0.name) }
        setting.differs = { root, _ in !root.name.isEmpty }
        setting.write = { root, writer in writer.line("key-chain", kind.text(root.name)) }
        return setting
    }

    /// Exactly one way to sign must be said.
    /// - Parameter keys: how it can be said.
    static func checkOne(of keys: [String], _ fields: MappingReader) {
        let said = keys.filter { fields[$0] != nil }
        if said.isEmpty {
            fields.field.error("write \(Spelling.choice(keys))")
        } else if said.count > 1 {
            fields[said[0]]?.error("'\(said[0])' and '\(said[1])' exclude each other")
        }
    }
}

extension KeyChain {
    /// Times between two send lifetimes in which a key signs outside its own.
    fileprivate var gaps: [(key: Key, from: Instant, until: Instant)] {
        var gaps: [(key: Key, from: Instant, until: Instant)] = []
        var from = nextChange(after: .zero)
        while let start = from {
            let end = nextChange(after: start)
            if let end, let signing = signing(at: start), signing.isOutsideLifetime { gaps.append((signing.key, start, end)) }
            from = end
        }
        return gaps
    }

    /// Keys that are written where they are used, of which the first signs.
    var keysInPlace: [Key] {
        get { name.isEmpty ? keys : [] }
        set { self = KeyChain(firstSigns: newValue) }
    }
    /// Likewise, where a password has a key of its own in the text.
    var digestKeysInPlace: [Key] {
        get { password == nil ? keysInPlace : [] }
        set { keysInPlace = newValue }
    }
    /// A password that is written where it is used.
    var password: String? {
        get {
            guard name.isEmpty, keys.count == 1, keys[0].algorithm == .clearText else { return nil }
            return String(decoding: keys[0].secret, as: UTF8.self)
        }
        set { self = newValue.map { .password($0) } ?? KeyChain() }
    }
}

extension KeyChain? {
    /// Without keys there is no authentication.
    var unlessEmpty: Self { self?.keys.isEmpty == true ? nil : self }
}

extension KeyChain.Key {
    /// The secret where only text can stand.
    var secretText: String {
        get { String(decoding: secret, as: UTF8.self) }
        set { secret = Array(newValue.utf8) }
    }
}

extension KeyChain.Lifetime {
    fileprivate var beginning: Instant? {
        get { from == .zero ? nil : from }
        set { from = newValue ?? .zero }
    }
    fileprivate var end: Instant? {
        get { until == .distantFuture ? nil : until }
        set { until = newValue ?? .distantFuture }
    }
}

extension Kind where Value == Instant {
    /// RFC 3339 §5.6, with a zone.
    static var time: Kind {
        Kind(
            values: "a time like 2027-01-01T00:00:00Z",
            read: { field in
                guard let text = field.text(1...40, "a time") else { return nil }
                return Instant(rfc3339: text)
                    ?? field.wrong(
                        "'\(text)' is no time with a zone from 1970 to \(Instant.lastYear) (RFC 3339); write it like "
                            + "2027-01-01T00:00:00Z or 2027-01-01T01:00:00+01:00")
            }, text: { $0.rfc3339 })
    }
}

extension Kind where Value == [UInt8] {
    /// A secret as text, or its octets in hexadecimal digits after 0x.
    static func octets(_ length: ClosedRange<Int>) -> Kind {
        let most = length.upperBound
        return Kind(
            values: "\(length.lowerBound)…\(most) octets, as text or as 0x and hexadecimal digits", isSecret: true,
            read: { field in
                guard let text = field.secret(1...(2 * most + 2)) else { return nil }
                guard text.hasPrefix("0x") else {
                    let octets = Array(text.utf8)
                    return octets.count <= most
                        ? octets : field.wrong("a secret of 1 to \(most) octets is expected, not \(octets.count)")
                }
                let digits = Array(text.utf8.dropFirst(2))
                let octets = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                    UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)
                }
                guard digits.count % 2 == 0, octets.count * 2 == digits.count, (1...most).contains(octets.count) else {
                    return field.wrong("1 to \(most) octets of two hexadecimal digits are expected after 0x")
                }
                return octets
            },
            text: { octets in
                // As text when it is some, in hexadecimal digits otherwise.
                let isText = octets.allSatisfy { (33...126).contains($0) } && !octets.starts(with: [0x30, 0x78])
                if isText { return YAMLWriter.scalar(String(decoding: octets, as: UTF8.self)) }
                return "0x" + octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            })
    }
}
