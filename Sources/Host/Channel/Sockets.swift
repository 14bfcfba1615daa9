import CHost
import Glibc
import Wire

/// The socket calls with our addresses.
enum Sockets {
    static func make(_ type: __socket_type, _ address: IPAddress) throws -> Int32 {
        let family: Int32 =
            switch address {
            case .v4: AF_INET
            case .v6: AF_INET6
            }
        let kind = Int32(type.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let fd = socket(family, kind, 0)
        guard fd >= 0 else { throw SystemError("socket") }
        return raise(fd)
    }

    /// Gives the descriptor a high number, closing the low one. Linux releases a dead process's files from the highest
    /// number down, and some of them (packet sockets, eventfds in use) take milliseconds; what tells the twin of our death
    /// must not wait behind those. The lease file lies above the sockets: mastership is free when the twin hears of it.
    static func raise(_ fd: Int32, above floor: Int32 = 256) -> Int32 {
        let high = fcntl(fd, F_DUPFD_CLOEXEC, floor)
        guard high >= 0 else { return fd }
        close(fd)
        return high
    }
    static let leaseFloor: Int32 = 512

    static func set(_ fd: Int32, _ level: Int32, _ option: Int32, _ value: Int32) throws {
        var value = value
        guard setsockopt(fd, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw SystemError("setsockopt")
        }
    }

    static func bind(_ fd: Int32, _ address: IPAddress, _ port: UInt16) throws {
        guard unsafe withAddress(address, port, { unsafe Glibc.bind(fd, $0, $1) }) == 0 else {
            throw SystemError("bind \(address):\(port)")
        }
    }

    /// As connect(2): -1 with `errno`.
    static func connect(_ fd: Int32, _ address: IPAddress, _ port: UInt16) -> Int32 {
        unsafe withAddress(address, port) { unsafe Glibc.connect(fd, $0, $1) }
    }

    /// A new connection, not blocking, and where it comes from.
    static func accept(_ fd: Int32) -> (Int32, IPAddress?)? {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let accepted: Int32 = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe Glibc.accept(fd, $0, &size) }
        }
        guard accepted >= 0 else { return nil }
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        return (raise(accepted), address(in: storage))
    }

    private static func address(in storage: sockaddr_storage) -> IPAddress? {
        unsafe withUnsafeBytes(of: storage) { bytes in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let v4 = unsafe bytes.loadUnaligned(as: sockaddr_in.self)
                return .v4(IPv4Address(raw: UInt32(bigEndian: v4.sin_addr.s_addr)))
            case AF_INET6:
                let high = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                let low = unsafe bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
                return .v6(IPv6Address(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low)))
            default:
                return nil
            }
        }
    }

    private static func withAddress<R>(
        _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
    ) -> R {
        switch address {
        case .v4(let v4):
            var text = sockaddr_in()
            text.sin_family = sa_family_t(AF_INET)
            text.sin_port = port.bigEndian
            text.sin_addr.s_addr = v4.raw.bigEndian
            return unsafe withUnsafePointer(to: &text) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .v6(let v6):
            var text = sockaddr_in6()
            text.sin6_family = sa_family_t(AF_INET6)
            text.sin6_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &text.sin6_addr) { bytes in
                unsafe bytes.storeBytes(of: v6.high.bigEndian, as: UInt64.self)
                unsafe bytes.storeBytes(of: v6.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return unsafe withUnsafePointer(to: &text) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
    }
}
