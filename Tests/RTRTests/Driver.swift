import Machine
import Policy
import Records
import Routing
import Wire

@testable import RTR

/// A client and its caches played by hand. After each input the client is written and read again, if so wished: whatever
/// follows must be the same.
struct Driver {
    var client: RTRInstance
    var now = Instant(nanoseconds: 1_000_000_000)
    /// The open connection of each cache, by the endpoint's number.
    var open: [StreamEndpointID: ConnectionID] = [:]
    /// What went out since `take`, as values, with the version.
    var sent: [(connection: ConnectionID, version: UInt8, pdu: PDU)] = []
    /// Effects in words, in order.
    var log: [String] = []
    var events: [Event] = []
    /// Addresses that there is no way to.
    var unreachable: [IPAddress] = []
    /// Connections that were asked for and neither opened nor refused, in order.
    var pending: [(endpoint: StreamEndpoint, connection: ConnectionID)] = []
    var isRestoredEachTime = false
    private var next: UInt32 = 1

    static let first = IPAddress("192.0.2.10")!, second = IPAddress("192.0.2.20")!, third = IPAddress("2001:db8::30")!

    init(
        _ addresses: [IPAddress] = [first], isRestoredEachTime: Bool = false,
        _ change: (inout RTRConfiguration) -> Void = { _ in }
    ) {
        client = RTRInstance(seed: 7)
        self.isRestoredEachTime = isRestoredEachTime
        var configuration = Self.configuration(addresses)
        change(&configuration)
        give(.configure(configuration))
    }

    static func configuration(_ addresses: [IPAddress]) -> RTRConfiguration {
        RTRConfiguration(
            caches: addresses.enumerated().map { place, address in
                var cache = CacheConfiguration(address: address)
                cache.preference = UInt16(10 * (place + 1))
                return cache
            })
    }

    mutating func give(_ input: RTRInstance.Input) {
        if isRestoredEachTime {
            var writer = SnapshotWriter()
            client.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            let before = client.digest
            client = try! RTRInstance(from: &reader)
            precondition(client.digest == before, "a restored client has the same digest")
        }
        var effects: [StreamProtocolEffect] = []
        client.handle(input, at: now, into: &effects)
        for effect in effects {
            log.append("\(effect)")
            switch effect {
            case .connect(let endpoint):
                if unreachable.contains(endpoint.remote) {
                    give(.cannotConnect(endpoint.number))
                } else {
                    let id = ConnectionID(next)
                    next += 2
                    pending.append((endpoint, id))
                    give(.connecting(endpoint.number, id))
                }
            case .send(let id, let slice):
                var bytes = Array(slice)
                while !bytes.isEmpty {
                    let (header, pdu) = Self.first(of: bytes)
                    sent.append((id, header.version, pdu))
                    bytes.removeFirst(header.length)
                }
            case .finish(let id), .abort(let id):
                open = open.filter { $0.value != id }
                pending.removeAll { $0.connection == id }
            case .event(let event): events.append(event)
            case .listen, .track, .untrack, .routes: break
            }
        }
    }

    private static func first(of bytes: [UInt8]) -> (PDUHeader, PDU) {
        var r = ByteReader(bytes.span.bytes)
        let header = try! PDUHeader(from: &r)
        precondition(header.isPlausible, "what is sent can be read")
        return (header, try! PDU(header, body: bytes.span.bytes.extracting(PDUHeader.size..<header.length)))
    }

    mutating func wait(_ duration: Duration) {
        let end = now + duration
        while let deadline = client.nextDeadline, deadline <= end {
            now = max(now, deadline)
            give(.time)
        }
        now = end
    }

    /// The handshake that was asked for first is complete.
    mutating func accept() {
        let (endpoint, id) = pending.removeFirst()
        open[endpoint.number] = id
        let tuple = ConnectionTuple(
            interface: InterfaceID(0), local: IPAddress("192.0.2.1")!, localPort: 50_000, remote: endpoint.remote,
            remotePort: endpoint.remotePort)
        give(
            .opened(
                id,
                ConnectionIdentity(
                    tuple: tuple, initialSendSequence: 0, initialReceiveSequence: 0, peerMaximumSegmentSize: 1460,
                    peerWindowShift: nil, windowShift: 0, selectiveAcknowledgment: false, timestamps: false,
                    timestampOffset: 0, options: endpoint.options),
                SessionAddresses(), endpoint.number, isOurs: true))
    }

    mutating func refuse() {
        let (_, id) = pending.removeFirst()
        give(.closed(id, .refused))
    }

    /// PDUs of the cache of this number.
    mutating func say(_ pdus: [PDU], version: UInt8 = 1, from number: UInt16 = 0) {
        say(octets: pdus.flatMap { $0.encoded(version: version) }, from: number)
    }
    mutating func say(octets: [UInt8], from number: UInt16 = 0) {
        guard let id = open[StreamEndpointID(number)] else { return }
        give(.received(id, octets))
    }

    /// The whole answer to a query.
    mutating func answer(
        _ payloads: [PDU], session: UInt16 = 9, serial: UInt32 = 1, timing: CacheTiming? = CacheTiming(), version: UInt8 = 1,
        from number: UInt16 = 0
    ) {
        say(
            [.cacheResponse(session: session)] + payloads + [.endOfData(session: session, serial: serial, timing)],
            version: version, from: number)
    }

    /// What went out since this was asked last.
    mutating func take() -> [PDU] {
        defer { sent = [] }
        return sent.map(\.pdu)
    }

    /// The error code that went out, if one did.
    mutating func takeError() -> UInt16? {
        for pdu in take() { if case .errorReport(let code, _, _) = pdu { return code } }
        return nil
    }

    func isOpen(_ number: UInt16 = 0) -> Bool { open[StreamEndpointID(number)] != nil }
    func view(_ place: Int = 0) -> CacheView { client.cacheViews(at: now)[place] }
    func validity(_ prefix: String, _ origin: UInt32?) -> OriginValidity {
        client.table.validity(of: IPPrefix(prefix)!, origin: origin)
    }
}

func announce(_ prefix: String, _ maximum: UInt8, _ origin: UInt32) -> PDU {
    .payload(VRP(prefix: IPPrefix(prefix)!, maximumLength: maximum, origin: origin), isAnnounced: true)
}
func withdraw(_ prefix: String, _ maximum: UInt8, _ origin: UInt32) -> PDU {
    .payload(VRP(prefix: IPPrefix(prefix)!, maximumLength: maximum, origin: origin), isAnnounced: false)
}
