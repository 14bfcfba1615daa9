import CHost
import Glibc

/// The dying gasp's socket side in Swift; its signal handler is `Gasp.c`.
///
/// On the wire: the message that Redundancy composed, with the record's index patched in, and eight octets of
/// SipHash-2-4 over it. The key is made by the sender at start and told to the twin over the encrypted channel.
enum Gasp {
    static let keyLength = 16
    static let tagLength = 8

    /// Installs the handler for this process and arms it with an empty message until the first is prepared.
    static func install() throws {
        let status = chost_gasp_install()
        guard status == 0 else { throw SystemError("sigaction", status) }
    }

    /// - Parameters:
    ///   - fd: a connected datagram socket, or -1 for no gasp.
    ///   - indexOffset: where in `message` the record's index goes, 8 octets in network order.
    static func prepare(fd: Int32, message: [UInt8], indexOffset: Int, key: [UInt8]) {
        precondition(key.count == keyLength, "a gasp key has 16 octets")
        _ = unsafe message.withUnsafeBytes { bytes in
            unsafe chost_gasp_prepare(fd, bytes.baseAddress, bytes.count, indexOffset, key)
        }
    }

    /// The message of a datagram whose tag is right.
    static func verified(_ datagram: ArraySlice<UInt8>, key: [UInt8]) -> ArraySlice<UInt8>? {
        guard datagram.count > tagLength, key.count == keyLength else { return nil }
        let message = datagram.dropLast(tagLength)
        let tag = unsafe message.withUnsafeBytes { unsafe chost_siphash(key, $0.baseAddress, $0.count) }
        var claimed: UInt64 = 0
        for (i, byte) in datagram.suffix(tagLength).enumerated() { claimed |= UInt64(byte) << (8 * UInt64(i)) }
        return claimed == tag ? message : nil
    }
}
