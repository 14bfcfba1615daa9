import Records
import Redundancy
import Wire

/// Which device carries which interface of the router, and to which interface a frame of a device belongs.
///
/// An `InterfaceID` is a position in the router configuration. Before there is one, positions are those of the controller
/// file; devices that the router configuration does not use follow at the end, so that beats can use them, too. Several
/// interfaces can share a device as VLANs. A value without devices: the host opens them, the simulator has none.
public struct SegmentMap: Sendable {
    public struct Binding: Sendable, Hashable {
        /// The router's interface, and the device of this host.
        public var name: String
        public var device: String
        /// Whether beats may go out on it.
        public var advertises: Bool
        public init(name: String, device: String, advertises: Bool = true) {
            self.name = name
            self.device = device
            self.advertises = advertises
        }
    }

    public let bindings: [Binding]
    public private(set) var interfaces: [InterfaceConfiguration] = []
    /// `InterfaceID` → position in `bindings` of the device, and of the interface's own entry.
    private var carrier: [(device: Int, entry: Int)?] = []
    /// Position in `bindings` → VLAN and interface.
    private var carried: [[(vlan: UInt16, interface: InterfaceID)]] = []

    public init(bindings: [Binding]) {
        self.bindings = bindings
        assign([])
    }

    /// The router's interfaces changed.
    public mutating func assign(_ list: [InterfaceConfiguration]) {
        interfaces = list
        carrier = []
        carried = Array(repeating: [], count: bindings.count)
        var isUsed = Array(repeating: false, count: bindings.count)
        func add(_ entry: Int?, _ vlan: UInt16) {
            let interface = InterfaceID(UInt16(carrier.count))
            guard let entry, let device = first(of: entry) else { return carrier.append(nil) }
            carrier.append((device, entry))
            carried[device].append((vlan, interface))
            isUsed[entry] = true
            isUsed[device] = true
        }
        for interface in list {
            // No device carries a loopback, even if the controller file should name one for it.
            add(interface.isLoopback ? nil : bindings.firstIndex { $0.name == interface.name }, interface.vlan)
        }
        for position in bindings.indices where !isUsed[position] && first(of: position) == position { add(position, 0) }
    }

    /// Entries that name one device twice share the first.
    private func first(of position: Int) -> Int? { bindings.firstIndex { $0.device == bindings[position].device } }
    public func isFirst(_ position: Int) -> Bool { first(of: position) == position }

    public func position(of interface: InterfaceID) -> Int? {
        Int(interface.value) < carrier.count ? carrier[Int(interface.value)]?.device : nil
    }
    public func advertises(on interface: InterfaceID) -> Bool {
        guard Int(interface.value) < carrier.count, let place = carrier[Int(interface.value)] else { return false }
        return bindings[place.entry].advertises
    }
    public func interfaces(at position: Int) -> [InterfaceID] { carried[position].map(\.interface) }
    /// The router's addresses on a device.
    public func virtualMACs(at position: Int) -> [MACAddress] {
        carried[position].compactMap { entry in
            Int(entry.interface.value) < interfaces.count ? interfaces[Int(entry.interface.value)].virtualMAC : nil
        }
    }
    /// The router's interfaces that no device of this host carries.
    public var unserved: [InterfaceConfiguration] {
        zip(interfaces, carrier).filter { !$0.0.isLoopback && $0.1 == nil }.map(\.0)
    }

    /// The interface to which a frame of this device belongs: by its VLAN tag where several share the device. A beat
    /// belongs to some interface in any case: a twin that has no configuration yet tags nothing.
    public func interface(for frame: RawSpan, at position: Int) -> InterfaceID? {
        let entries = carried[position]
        if entries.count == 1 { return entries[0].interface }
        var vlan: UInt16 = 0
        if frame.byteCount >= 16 {
            let tag = UInt16(bigEndian: unsafe frame.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt16.self))
            if tag == 0x8100 {
                vlan = UInt16(bigEndian: unsafe frame.unsafeLoadUnaligned(fromByteOffset: 14, as: UInt16.self)) & 0xfff
            }
        }
        for entry in entries where entry.vlan == vlan { return entry.interface }
        return Beat.isOne(frame) ? entries.first?.interface : nil
    }
}
