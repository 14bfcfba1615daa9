import Machine
import Wire

/// Where a neighbour that the router sends to is on its network, as it said itself (RFC 826, RFC 4861). Known to both
/// controllers, so that whoever takes over speaks to its neighbours at once and asks them beside it.
public struct NeighborBinding: Hashable, Sendable {
    public var interface: InterfaceID
    public var address: IPAddress
    public var mac: MACAddress

    public init(interface: InterfaceID, address: IPAddress, mac: MACAddress) {
        self.interface = interface
        self.address = address
        self.mac = mac
    }
}

extension NeighborBinding: Fielded {
    public static var blank: Self { .init(interface: InterfaceID(0), address: .blank, mac: MACAddress(raw: 0)) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&address)
        try visitor.field(&mac, \.raw, MACAddress.init(raw:))
        try visitor.require(!mac.isGroup && mac.raw >> 48 == 0, "a neighbour's MAC address")
    }
}
