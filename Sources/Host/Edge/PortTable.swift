import Controller
import Glibc
import Machine
import Records
import Wire

/// The devices of this host, opened, and what is sent on them. Which carries which interface is `SegmentMap`'s.
final class PortTable {
    static let tokenBase: UInt64 = 1000
    /// A device that failed is tried again after so long (and whenever a device changes).
    private static let retryInterval = Duration.seconds(1)

    private var map: SegmentMap
    private let poller: Poller
    private let advertisementType: UInt16
    /// By position in the map's bindings; interfaces that name one device twice share the first.
    private var ports: [(any DevicePort)?]
    private let open: DevicePortMaker
    private var isUp: [Bool]
    private(set) var retryAt: Instant?

    init(bindings: [SegmentMap.Binding], advertisementType: UInt16, poller: Poller, open: @escaping DevicePortMaker) {
        self.open = open
        map = SegmentMap(bindings: bindings)
        self.advertisementType = advertisementType
        self.poller = poller
        ports = Array(repeating: nil, count: bindings.count)
        isUp = Array(repeating: false, count: bindings.count)
    }

    /// The device at a position among the ports; `nil` while it cannot be opened.
    func port(at position: Int) -> (any DevicePort)? { ports[position] }
    func device(of interface: InterfaceID) -> String? { map.position(of: interface).map { map.bindings[$0].device } }

    /// The router's interfaces changed. Returns those without a device on this host.
    func setInterfaces(_ list: [InterfaceConfiguration], _ events: inout [Event]) -> [InterfaceConfiguration] {
        map.assign(list)
        for position in map.bindings.indices { applyFilter(position, &events) }
        return map.unserved
    }

    private func applyFilter(_ position: Int, _ events: inout [Event]) {
        guard let port = ports[position] else { return }
        do {
            try port.setFilter(macs: map.virtualMACs(at: position), advertisementType: advertisementType)
        } catch {
            events.append(Event(.alarm, "host", "\(error)"))
        }
    }

    /// Opens what is closed and looks at carriers. Returns interfaces whose carrier changed, or all of them.
    func refresh(at now: Instant, everything: Bool, _ events: inout [Event]) -> [(InterfaceID, Bool)] {
        var changed: [(InterfaceID, Bool)] = []
        retryAt = nil
        for position in map.bindings.indices where map.isFirst(position) {
            if ports[position] == nil {
                do {
                    let port = try open(map.bindings[position].device)
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
                events.append(
                    Event(up ? .notice : .alarm, "host", "device \(map.bindings[position].device) is \(up ? "up" : "down")"))
            }
            for interface in map.interfaces(at: position) { changed.append((interface, up)) }
        }
        return changed
    }

    /// A device cannot be read any more.
    func fail(_ position: Int, at now: Instant) {
        if let port = ports[position] { poller.remove(port.fd) }
        ports[position] = nil
        retryAt = now + Self.retryInterval
    }

    func interfaces(at position: Int) -> [InterfaceID] { map.interfaces(at: position) }
    func interface(for frame: RawSpan, at position: Int) -> InterfaceID? { map.interface(for: frame, at: position) }

    /// Queues a frame as the router.
    func send(_ frame: consuming [UInt8], on interface: InterfaceID) {
        guard let position = map.position(of: interface), let port = ports[position] else { return }
        port.send(frame)
    }

    /// Sends a frame in this controller's own name at once, if that interface allows it: octets 6…11 become the device's own address.
    func advertise(_ frame: consuming [UInt8], on interface: InterfaceID) {
        guard map.advertises(on: interface), let position = map.position(of: interface), let port = ports[position],
            frame.count >= 14
        else { return }
        var frame = frame
        frame.fillSource(port.ownMAC)
        port.sendNow(frame)
    }

    /// The same for a question that any host may ask.
    func ask(_ frame: consuming [UInt8], on interface: InterfaceID) {
        guard let position = map.position(of: interface), let port = ports[position] else { return }
        var frame = frame
        frame.fillSource(port.ownMAC)
        port.sendNow(frame)
    }

    var hasWaiting: Bool { ports.contains { $0?.hasWaiting ?? false } }
    func flush() { for port in ports { port?.flush() } }
    func discard() -> Int { ports.reduce(0) { $0 + ($1?.discard() ?? 0) } }
    var counters: [(device: String, counters: PortCounters)] {
        ports.compactMap { port in port.map { ($0.device, $0.readCounters()) } }
    }
}
