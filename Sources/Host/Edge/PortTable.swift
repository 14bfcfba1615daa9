import Glibc
import Machine
import Records
import Wire

/// Which device carries which interface of the router.
///
/// An `InterfaceID` is a position in the router configuration. Before there is one, positions are those of the controller
/// file; devices that the router configuration does not use follow at the end, so that advertisements can use them, too.
/// Several interfaces can share a device as VLANs.
final class PortTable {
    struct Binding {
        var name: String
        var device: String
    }
    static let tokenBase: UInt64 = 1000
    /// A device that failed is tried again after so long (and whenever a device changes).
    private static let retryInterval = Duration.seconds(1)

    private let bindings: [Binding]
    private let poller: Poller
    private let advertisementType: UInt16
    /// By position in `bindings`; interfaces that name one device twice share the first.
    private var ports: [PacketPort?]
    private var isUp: [Bool]
    private var interfaces: [InterfaceConfiguration] = []
    /// `InterfaceID` → position in `bindings`.
    private var carrier: [Int?] = []
    /// Position in `bindings` → VLAN and interface.
    private var carried: [[(vlan: UInt16, interface: InterfaceID)]] = []
    private(set) var retryAt: Instant?

    init(bindings: [Binding], advertisementType: UInt16, poller: Poller) {
        self.bindings = bindings
        self.advertisementType = advertisementType
        self.poller = poller
        ports = Array(repeating: nil, count: bindings.count)
        isUp = Array(repeating: false, count: bindings.count)
        assign([])
    }

    var deviceCount: Int { bindings.count }

    /// The device at a position among the ports; `nil` while it cannot be opened.
    func port(at position: Int) -> PacketPort? { ports[position] }
    func device(of interface: InterfaceID) -> String? { position(of: interface).map { bindings[$0].device } }

    private func position(of interface: InterfaceID) -> Int? {
        Int(interface.value) < carrier.count ? carrier[Int(interface.value)] : nil
    }

    private func assign(_ list: [InterfaceConfiguration]) {
        interfaces = list
        carrier = []
        carried = Array(repeating: [], count: bindings.count)
        var isUsed = Array(repeating: false, count: bindings.count)
        func add(_ position: Int?, _ vlan: UInt16) {
            let interface = InterfaceID(UInt16(carrier.count))
            carrier.append(position)
            guard let position else { return }
            carried[position].append((vlan, interface))
            isUsed[position] = true
        }
        for interface in list {
            // No device carries a loopback, even if the controller file should name one for it.
            let named = interface.isLoopback ? nil : bindings.firstIndex { $0.name == interface.name }
            let position = named.flatMap { named in bindings.firstIndex { $0.device == bindings[named].device } }
            if let named { isUsed[named] = true }
            add(position, interface.vlan)
        }
        for position in bindings.indices where !isUsed[position] { add(position, 0) }
    }

    /// The router's interfaces changed. Returns those without a device on this host.
    func setInterfaces(_ list: [InterfaceConfiguration], _ events: inout [Event]) -> [InterfaceConfiguration] {
        assign(list)
        for position in bindings.indices { applyFilter(position, &events) }
        return zip(list, carrier).filter { !$0.0.isLoopback && $0.1 == nil }.map(\.0)
    }

    private func applyFilter(_ position: Int, _ events: inout [Event]) {
        guard let port = ports[position] else { return }
        let macs = carried[position].compactMap { entry in
            Int(entry.interface.value) < interfaces.count ? interfaces[Int(entry.interface.value)].virtualMAC : nil
        }
        do {
            try port.setFilter(macs: macs, advertisementType: advertisementType)
        } catch {
            events.append(Event(.alarm, "host", "\(error)"))
        }
    }

    /// Opens what is closed and looks at carriers. Returns interfaces whose carrier changed, or all of them.
    func refresh(at now: Instant, everything: Bool, _ events: inout [Event]) -> [(InterfaceID, Bool)] {
        var changed: [(InterfaceID, Bool)] = []
        retryAt = nil
        for position in bindings.indices where bindings.firstIndex(where: { $0.device == bindings[position].device }) == position {
            if ports[position] == nil {
                do {
                    let port = try PacketPort(device: bindings[position].device)
                    try poller.add(port.fd, token: Self.tokenBase + UInt64(position))
                    ports[position] = port
                    applyFilter(position, &events)
                    events.append(Event(.info, "host", "device \(port.device) is open"))
                } catch {
                    retryAt = now + Self.retryInterval
                }
            }
            let up = ports[position]?.isUp ?? false
            guard up != isUp[position] || everything else { continue }
            if up != isUp[position] {
                isUp[position] = up
                events.append(Event(up ? .notice : .alarm, "host", "device \(bindings[position].device) is \(up ? "up" : "down")"))
            }
            for entry in carried[position] { changed.append((entry.interface, up)) }
        }
        return changed
    }

    /// A device cannot be read any more.
    func fail(_ position: Int, at now: Instant) {
        if let port = ports[position] { poller.remove(port.fd) }
        ports[position] = nil
        retryAt = now + Self.retryInterval
    }

    /// The interface to which a frame of this device belongs: by its VLAN tag where several share the device.
    func interface(for frame: RawSpan, at position: Int) -> InterfaceID? {
        let entries = carried[position]
        if entries.count == 1 { return entries[0].interface }
        var vlan: UInt16 = 0
        if frame.byteCount >= 16 {
            let tag = UInt16(bigEndian: unsafe frame.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt16.self))
            if tag == 0x8100 {
                vlan = UInt16(bigEndian: unsafe frame.unsafeLoadUnaligned(fromByteOffset: 14, as: UInt16.self)) & 0xfff
            }
        }
        return entries.first { $0.vlan == vlan }?.interface
    }

    /// Queues a frame as the router.
    func send(_ frame: consuming [UInt8], on interface: InterfaceID) {
        guard let position = position(of: interface), let port = ports[position] else { return }
        port.send(frame)
    }

    /// Sends a frame in this controller's own name at once: octets 6…11 become the device's own address.
    func advertise(_ frame: consuming [UInt8], on interface: InterfaceID) {
        guard let position = position(of: interface), let port = ports[position], frame.count >= 14 else { return }
        var frame = frame
        for i in 0..<6 { frame[6 + i] = UInt8(truncatingIfNeeded: port.ownMAC.raw >> UInt64(40 - 8 * i)) }
        port.sendNow(frame)
    }

    var hasWaiting: Bool { ports.contains { $0?.hasWaiting ?? false } }
    func flush() { for port in ports { port?.flush() } }
    func discard() -> Int { ports.reduce(0) { $0 + ($1?.discard() ?? 0) } }
    var counters: [(device: String, counters: PacketPort.Counters)] {
        ports.compactMap { port in port.map { ($0.device, $0.readCounters()) } }
    }
}
