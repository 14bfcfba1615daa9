import Machine
import Wire

/// Whom BFD watches: the key under which protocols ask for a session and hear of it.
public struct BFDPeer: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// `nil` for a multihop session (RFC 5883).
    public var interface: InterfaceID?
    public var local: IPAddress
    public var remote: IPAddress

    public init(interface: InterfaceID?, local: IPAddress, remote: IPAddress) {
        self.interface = interface
        self.local = local
        self.remote = remote
    }
    public static func < (a: Self, b: Self) -> Bool {
        (a.interface.map { Int($0.value) } ?? -1, a.remote, a.local) < (b.interface.map { Int($0.value) } ?? -1, b.remote, b.local)
    }
    public var description: String { interface.map { "\(remote)%\($0)" } ?? "\(remote) from \(local)" }
}
