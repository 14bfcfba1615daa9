import Glibc
import Wire

/// A network device of this host as the edge uses it. On the edge's thread, but for its making.
protocol DevicePort: AnyObject {
    var device: String { get }
    /// Readable when frames wait.
    var fd: Int32 { get }
    /// The device's own address, the source of what this controller says in its own name.
    var ownMAC: MACAddress { get }
    /// Whether it has carrier.
    var isUp: Bool { get }

    /// Lets through what concerns the router (`PacketPort.filter`).
    func setFilter(macs: [MACAddress], advertisementType: UInt16) throws
    /// Hands over up to `limit` frames or about `octets` octets; the view ends with the call of `body`. Returns how many there
    /// were.
    func receive(limit: Int, octets: Int, _ body: (RawSpan) -> Void) throws -> Int
    /// Queues a frame for `flush`.
    func send(_ frame: consuming [UInt8])
    /// One frame past the queue.
    func sendNow(_ frame: [UInt8])
    var hasWaiting: Bool { get }
    /// Gives what is queued to the device. What it does not take is lost, as on any wire.
    func flush()
    /// Forgets what is queued, because the right to send is gone. Returns how many frames that were.
    func discard() -> Int
    /// The counters with the kernel's own of this moment.
    func readCounters() -> PortCounters
    /// Whether frames were dropped since the last call, because they were read too slowly.
    func takeHasLostFrames() -> Bool
}

/// Opens a device by its name; throws while it cannot be used.
typealias DevicePortMaker = @Sendable (String) throws -> any DevicePort

struct PortCounters: Sendable {
    var framesIn: UInt64 = 0
    var octetsIn: UInt64 = 0
    var framesOut: UInt64 = 0
    var octetsOut: UInt64 = 0
    /// Frames that the device's queue refused; TCP repeats them.
    var framesRefused: UInt64 = 0
    /// Frames that the kernel dropped because we read too slowly.
    var kernelDrops: UInt64 = 0
}
