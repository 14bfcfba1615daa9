import Records
import Wire

/// What a segment is looked up by. The interface counts for link-local addresses only: elsewhere a peer's packets may come
/// in over another interface than ours leave by, and are still the peer's.
struct FlowKey: Hashable, Sendable, BitwiseCopyable {
    private var localHigh: UInt64
    private var localLow: UInt64
    private var remoteHigh: UInt64
    private var remoteLow: UInt64
    /// Ports, interface, family.
    private var rest: UInt64

    init(local: IPAddress, localPort: UInt16, remote: IPAddress, remotePort: UInt16, interface: InterfaceID) {
        var rest = UInt64(localPort) << 48 | UInt64(remotePort) << 32
        switch local {
        case .v4(let a):
            localHigh = 0
            localLow = UInt64(a.raw)
            rest |= 1
        case .v6(let a):
            localHigh = a.high
            localLow = a.low
            if a.isLinkLocal { rest |= UInt64(interface.value) << 8 }
        }
        switch remote {
        case .v4(let a):
            remoteHigh = 0
            remoteLow = UInt64(a.raw)
            rest |= 2
        case .v6(let a):
            remoteHigh = a.high
            remoteLow = a.low
        }
        self.rest = rest
    }

    init(_ tuple: ConnectionTuple) {
        self.init(
            local: tuple.local, localPort: tuple.localPort, remote: tuple.remote, remotePort: tuple.remotePort,
            interface: tuple.interface)
    }
}

/// Who may knock where. Port 0 stands for "any port" where only the pair of addresses matters (whose key signs a RST).
struct ListenerKey: Hashable, Sendable, BitwiseCopyable {
    var local: IPAddress
    var port: UInt16
    var remote: IPAddress
    /// Of the prefix, where `remote` stands for a range.
    var length: UInt8?
}
