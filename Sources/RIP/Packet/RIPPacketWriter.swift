import Records
import Wire

/// Packs entries into messages, as many as they take, and finishes each.
struct RIPPacketWriter {
    let version: RIPVersion
    /// 1 where an interface speaks RFC 1058.
    let messageVersion: UInt8
    let command: UInt8
    /// The key that signs.
    let key: KeyChain.Key?
    /// Entries of a message, authentication not counted.
    let entriesMaximum: Int
    private(set) var messages: [[UInt8]] = []
    private var writer = ByteWriter()
    private var entries = 0
    /// RIPng: the next hop that holds for the entries that follow (RFC 2080 §2.1.1); `nil` is the sender.
    private var nextHop: IPv6Address?
    /// The number for the next message (RFC 4822 §2.2).
    private(set) var sequence: UInt32

    /// - Parameters:
    ///   - key: the one that signs now; `nil` without authentication.
    ///   - mtu: of the interface; RIPng fills it (RFC 2080 §2.1).
    ///   - sequence: for the first message; each further one takes the next.
    init(
        version: RIPVersion, messageVersion: UInt8, command: UInt8, key: KeyChain.Key?, mtu: UInt16, sequence: UInt32
    ) {
        self.version = version
        self.messageVersion = messageVersion
        self.command = command
        self.sequence = sequence
        // RFC 2453 §4.1: there is no authentication in version 1.
        self.key = version == .v2 && messageVersion > 1 ? key : nil
        switch version {
        case .v2: entriesMaximum = RIPFormat.entriesMaximum - (self.key == nil ? 0 : 1)
        // RFC 2080 §2.1: what is left of the MTU after the IPv6, UDP and RIPng headers.
        case .ng: entriesMaximum = max(2, (Int(max(mtu, 1280)) - 40 - 8 - RIPFormat.headerLength) / RIPFormat.entryLength)
        }
    }

    private mutating func begin(room: Int) {
        if entries > 0, entries + room > entriesMaximum { finishMessage() }
        guard entries == 0 else { return }
        writer = ByteWriter(capacity: RIPFormat.headerLength + RIPFormat.entryLength * (entriesMaximum + 1) + 68)
        writer.u8(command)
        writer.u8(messageVersion)
        writer.u16(0)
        RIPAuthenticator.begin(&writer, key, sequence: sequence)
        nextHop = nil
    }

    private mutating func finishMessage() {
        guard entries > 0 else { return }
        RIPAuthenticator.finish(&writer, key)
        if let key, key.algorithm != .clearText { sequence &+= 1 }
        messages.append(writer.bytes)
        entries = 0
    }

    mutating func add(_ entry: RIPv2Entry) {
        begin(room: 1)
        entry.write(to: &writer)
        entries += 1
    }

    /// - Parameter via: the next hop of this entry; `nil` is the sender.
    mutating func add(_ entry: RIPngEntry, via: IPv6Address? = nil) {
        begin(room: via == nextHop ? 1 : 2)
        if via != nextHop {
            // RFC 2080 §2.1.1: holds for all entries until the next of its kind or the end of the message.
            RIPngEntry(address: via ?? .any, tag: 0, length: 0, metric: RIPFormat.nextHopMetric).write(to: &writer)
            entries += 1
            nextHop = via
        }
        entry.write(to: &writer)
        entries += 1
    }

    /// What was packed.
    mutating func finish() -> [[UInt8]] {
        finishMessage()
        return messages
    }
}
