import CHost
import Glibc

/// The dying gasp's side in Swift; its signal handler is `Gasp.c`. What is in the message, and whether to believe one that
/// comes in, is Redundancy's business.
enum Gasp {
    static func install() throws {
        let status = chost_gasp_install()
        guard status == 0 else { throw SystemError("sigaction", status) }
    }

    /// - Parameters:
    ///   - fd: a connected datagram socket.
    ///   - message: at most 256 octets; `nil` for no gasp.
    ///   - indexOffset: where in `message` the index of the record being applied goes, 8 octets in network order.
    ///   - messageOffset: where the number of the message within it goes, 2 octets.
    ///   - frameOffset: where the frame in hand goes, 68 octets.
    static func prepare(fd: Int32, message: [UInt8]?, indexOffset: Int = 0, messageOffset: Int = 0, frameOffset: Int = 0) {
        guard let message else {
            _ = chost_gasp_prepare(-1, nil, 0, 0, 0, 0)
            return
        }
        let status = unsafe message.withUnsafeBytes { bytes in
            unsafe chost_gasp_prepare(fd, bytes.baseAddress, bytes.count, indexOffset, messageOffset, frameOffset)
        }
        precondition(status == 0, "a gasp has at most 256 octets and room for what is written into it")
    }
}
