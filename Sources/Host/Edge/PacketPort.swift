import CHost
import CPcap
import Foundation
import Glibc
import Wire

/// One network device, captured and written through libpcap (DESIGN §10).
///
/// Immediate mode: a frame is ours as soon as the kernel has it. Promiscuous, because the virtual MAC is not the
/// device's own. The kernel filter leaves only what concerns the router, so the rest of the LAN costs nothing.
final class PacketPort: DevicePort {
    struct Failure: Error, CustomStringConvertible {
        let device: String
        let message: String
        var description: String { "\(device): \(message)" }
    }

    let device: String
    let fd: Int32
    private let handle: OpaquePointer
    private(set) var counters = PortCounters()
    private var dropsSeen: UInt64 = 0
    /// Frames of this turn, bounded by what one turn of the controller can give out (its TCP windows).
    private var waiting: [[UInt8]] = []

    /// The device's own address, the source of what this controller says in its own name.
    let ownMAC: MACAddress

    /// Opens the device; until `setFilter` everything comes in.
    /// - Parameter bufferSize: octets of the capture ring.
    init(device: String, bufferSize: Int32 = 8 << 20) throws {
        self.device = device
        var octets: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0, 0)
        _ = unsafe withUnsafeMutableBytes(of: &octets) { bytes in
            unsafe chost_interface_mac(device, bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
        ownMAC = unsafe withUnsafeBytes(of: octets) { bytes in
            MACAddress(raw: unsafe bytes.reduce(0) { $0 << 8 | UInt64($1) })
        }
        var text = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_create(device, &text) else {
            throw Failure(device: device, message: Self.string(text))
        }
        self.handle = handle
        pcap_set_immediate_mode(handle, 1)
        pcap_set_promisc(handle, 1)
        pcap_set_snaplen(handle, 65_535)
        pcap_set_buffer_size(handle, bufferSize)
        let status = pcap_activate(handle)
        guard status >= 0 else {
            let detail = String(cString: pcap_geterr(handle))
            let name = String(cString: pcap_statustostr(status))
            pcap_close(handle)
            throw Failure(device: device, message: detail.isEmpty ? name : "\(name): \(detail)")
        }
        guard pcap_datalink(handle) == DLT_EN10MB else {
            pcap_close(handle)
            throw Failure(device: device, message: "not an Ethernet device")
        }
        // Frames that this host sends itself are not for us.
        pcap_setdirection(handle, PCAP_D_IN)
        guard pcap_setnonblock(handle, 1, &text) == 0 else {
            pcap_close(handle)
            throw Failure(device: device, message: Self.string(text))
        }
        fd = pcap_get_selectable_fd(handle)
        // A burst of full segments must not wait for us to come round again.
        var size: Int32 = 4 << 20
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit {
        // To close the ring of a device that has vanished takes the kernel tens of milliseconds: longer than a twin waits
        // for a heartbeat of the thread that we are on.
        let handle = UInt(bitPattern: handle)
        Thread.detachNewThread { if let handle = OpaquePointer(bitPattern: handle) { pcap_close(handle) } }
    }

    /// - Parameters:
    ///   - macs: the virtual MAC, or several when VLANs of one device differ.
    ///   - advertisementType: EtherType of the pair's own advertisements on service segments.
    func setFilter(macs: [MACAddress], advertisementType: UInt16) throws {
        let filter = Self.filter(macs: macs, own: ownMAC, advertisementType: advertisementType)
        var program = bpf_program()
        guard pcap_compile(handle, &program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0 else {
            throw Failure(device: device, message: "filter '\(filter)': \(String(cString: pcap_geterr(handle)))")
        }
        defer { pcap_freecode(&program) }
        guard pcap_setfilter(handle, &program) == 0 else {
            throw Failure(device: device, message: "filter '\(filter)': \(String(cString: pcap_geterr(handle)))")
        }
    }

    /// `ether host` finds the address before a VLAN tag as well: the filter sees the outer header. As a source it shows that
    /// somebody else speaks as the router. To the device's own address neighbours answer the pair's questions.
    static func filter(macs: [MACAddress], own: MACAddress, advertisementType: UInt16) -> String {
        // Neighbor Advertisements as well: ICMPv6, type 136, right after the header.
        // In this language 'and' and 'or' bind alike, from the left.
        func answer(_ type: Int) -> String {
            "ether[\(type):2] = 0x0806 or "
                + "(ether[\(type):2] = 0x86dd and ether[\(type + 8)] = 58 and ether[\(type + 42)] = 136)"
        }
        let answers = "(ether dst \(own) and (\(answer(12)) or (ether[12:2] = 0x8100 and (\(answer(16))))))"
        return
            (macs.map { "ether host \($0)" }
            + ["ether multicast", "ether proto 0x\(String(advertisementType, radix: 16))", answers])
            .joined(separator: " or ")
    }

    /// Hands over up to `limit` frames or about `octets` octets, each frame where the kernel left it; the view ends with the
    /// call of `body`. Returns how many there were.
    func receive(limit: Int, octets: Int, _ body: (RawSpan) -> Void) throws -> Int {
        var header: UnsafeMutablePointer<pcap_pkthdr>?
        var bytes: UnsafePointer<UInt8>?
        var count = 0
        var left = octets
        while count < limit, left > 0 {
            let status = unsafe pcap_next_ex(handle, &header, &bytes)
            if status == 0 { break }
            guard status == 1, let header = unsafe header, let bytes = unsafe bytes else {
                throw Failure(device: device, message: String(cString: pcap_geterr(handle)))
            }
            count += 1
            left -= Int(header.pointee.caplen)
            counters.octetsIn &+= UInt64(header.pointee.caplen)
            let span = unsafe RawSpan(_unsafeStart: bytes, byteCount: Int(header.pointee.caplen))
            body(span)
        }
        counters.framesIn &+= UInt64(count)
        return count
    }

    /// Queues a frame for `flush`.
    func send(_ frame: consuming [UInt8]) { waiting.append(frame) }

    var hasWaiting: Bool { !waiting.isEmpty }

    /// One frame past the queue.
    func sendNow(_ frame: [UInt8]) {
        // Never waits for room: pcap_inject would.
        let taken = unsafe frame.withUnsafeBytes { bytes in
            var one = chost_frame(bytes: bytes.baseAddress, count: bytes.count)
            return unsafe chost_send_burst(fd, &one, 1)
        }
        if taken == 1 { counters.framesOut &+= 1 } else { counters.framesRefused &+= 1 }
    }

    /// Gives what is queued to the device, up to 64 frames a system call. What the device does not take is lost, as on
    /// any wire.
    func flush() {
        guard !waiting.isEmpty else { return }
        var frames: [chost_frame] = []
        frames.reserveCapacity(waiting.count)
        // The arrays stay in `waiting`, unchanged, until the call is over.
        for frame in waiting {
            counters.octetsOut &+= UInt64(frame.count)
            unsafe frame.withUnsafeBytes { unsafe frames.append(chost_frame(bytes: $0.baseAddress, count: $0.count)) }
        }
        var done = 0
        while done < frames.count {
            let taken = unsafe frames.withUnsafeBufferPointer { buffer in
                unsafe chost_send_burst(fd, buffer.baseAddress! + done, UInt32(frames.count - done))
            }
            if taken > 0 {
                done += Int(taken)
            } else if taken == -EINTR {
                continue
            } else {
                // The frame at the head cannot go (device down, queue full, too long): drop it and go on.
                counters.framesRefused &+= 1
                done += 1
            }
        }
        counters.framesOut &+= UInt64(frames.count)
        waiting.removeAll(keepingCapacity: true)
    }

    /// Forgets what is queued, because the right to send is gone. Returns how many frames that were.
    func discard() -> Int {
        defer { waiting.removeAll(keepingCapacity: true) }
        return waiting.count
    }

    /// The counters with the kernel's own of this moment.
    func readCounters() -> PortCounters {
        var statistics = pcap_stat()
        if pcap_stats(handle, &statistics) == 0 { counters.kernelDrops = UInt64(statistics.ps_drop) }
        return counters
    }

    /// Whether the kernel has dropped frames since the last call, because the ring was full.
    func takeHasLostFrames() -> Bool {
        let drops = readCounters().kernelDrops
        defer { dropsSeen = drops }
        return drops != dropsSeen
    }

    var isUp: Bool {
        let flags = chost_interface_flags(device)
        return flags >= 0 && flags & Int32(IFF_UP) != 0 && flags & Int32(IFF_RUNNING) != 0
    }

    private static func string(_ text: [CChar]) -> String {
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
