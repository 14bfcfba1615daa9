import Digests
import Machine
import Records
import Wire

/// RFC 5880 §4.2–4.4 and §6.7: the Authentication Section, written and verified.
extension BFDAuthentication {
    /// Octets of the section that we write.
    func sectionLength(_ key: KeyChain.Key) -> Int {
        switch type {
        case .simplePassword: 3 + min(key.secret.count, type.secretOctetsMaximum)
        case .keyedMD5, .meticulousKeyedMD5: 24
        case .keyedSHA1, .meticulousKeyedSHA1: 28
        }
    }

    private var algorithm: DigestAlgorithm { type.algorithm.digest ?? .sha1 }

    /// Where the digest begins in a packet, the same for all types that have one.
    private static let digestOffset = ControlPacket.length + 8

    /// Appends the section to a packet whose mandatory section already counts it in its Length and has the A bit set.
    func sign(_ w: inout ByteWriter, with key: KeyChain.Key, sequence: UInt32) {
        let length = sectionLength(key)
        w.u8(type.rawValue)
        w.u8(UInt8(truncatingIfNeeded: length))
        w.u8(UInt8(truncatingIfNeeded: key.id))
        guard type != .simplePassword else { return w.append(key.secret.prefix(type.secretOctetsMaximum)) }
        w.u8(0)
        w.u32(sequence)
        // RFC 5880 §6.7.3, §6.7.4: the digest is taken with the secret in its place, padded with zeros.
        let room = algorithm.length
        w.append(key.secret.prefix(room))
        w.zeros(room - min(room, key.secret.count))
        let digest = algorithm.digest(w.bytes.span.bytes)
        for i in 0..<room { w.patch8(Self.digestOffset + i, digest[i]) }
    }

    /// RFC 5880 §6.7.2–6.7.4. `packet` is as long as its Length field says.
    /// - Parameters:
    ///   - known: bfd.RcvAuthSeq, `nil` while bfd.AuthSeqKnown is 0.
    ///   - window: how far ahead a number may be; `nil` for any distance.
    ///   - now: keys count that are acceptable then.
    /// - Returns: the sequence number, to be kept; `nil` for a password.
    func verify(
        _ packet: RawSpan, known: UInt32?, window: UInt32?, at now: Instant
    ) throws(BFDDropReason) -> UInt32? {
        var r = ByteReader(packet)
        let length: Int, id: UInt8
        var sequence: UInt32 = 0
        do throws(DecodeError) {
            try r.skip(ControlPacket.length, "mandatory section")
            let received = try r.u8("Auth Type")
            length = Int(try r.u8("Auth Len"))
            guard received == type.rawValue else { throw DecodeError("Auth Type", at: ControlPacket.length, .badValue) }
            id = try r.u8("Auth Key ID")
        } catch {
            throw .missingAuthentication
        }
        // RFC 5880 §4.2: a password, too, comes with the number of its key. An identifier that has no place in eight bits is
        // nobody's.
        guard let key = chain.keys.first(where: { $0.id == UInt64(id) }), chain.isAcceptable(key, at: now) else {
            throw .unknownKey
        }
        guard length == sectionLength(key), ControlPacket.length + length == packet.byteCount else {
            throw .authenticationLength
        }
        if type == .simplePassword {
            let secret = [UInt8](key.secret.prefix(type.secretOctetsMaximum))
            guard equalInConstantTime(packet.extracting(droppingFirst: ControlPacket.length + 3), secret.span.bytes) else {
                throw .digest
            }
            return nil
        }
        do throws(DecodeError) {
            // "Reserved: this byte MUST be set to zero on transmit, and ignored on receipt."
            try r.skip(1, "reserved")
            sequence = try r.u32("Sequence Number")
        } catch {
            throw .authenticationLength
        }
        if let known {
            // Circular, as an unsigned 32-bit number.
            let ahead = sequence &- known
            guard ahead >= (type.isMeticulous ? 1 : 0), ahead <= window ?? UInt32.max >> 1 else { throw .sequence }
        }
        let room = algorithm.length
        var hash = MessageDigest(algorithm)
        hash.update(packet.extracting(first: Self.digestOffset))
        var secret = [UInt8](key.secret.prefix(room))
        while secret.count < room { secret.append(0) }
        hash.update(secret.span.bytes)
        let digest = hash.finish()
        guard equalInConstantTime(packet.extracting(droppingFirst: Self.digestOffset), digest.bytes) else { throw .digest }
        return sequence
    }
}
