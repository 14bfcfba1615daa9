import Machine
import Wire

/// What a group advertises for a destination. 8 octets.
struct AdvertisedRoute: BitwiseCopyable, Sendable, Equatable {
    /// Attributes after export policy; 0: nothing.
    var handle: UInt32
    /// Where the route came from.
    var source: UInt16
    var reserved: UInt16 = 0
    static let none = AdvertisedRoute(handle: 0, source: 0)
}

/// The Adj-RIB-Out (RFC 4271 §3.2) that the members of an update group share: as many places for each destination as the
/// group's view asks for. A place means "every member except the source of its route has this route":
///
/// - `best`: one place.
/// - `bestAccepted`: a second place holds what the source of the first one gets instead.
/// - `several`: the number of a place is the path's identifier (RFC 7911 §2) for the neighbours. So whoever may know any
///   of them is told right by going through the places, and nothing must be remembered of what went.
struct AdjRIBOut: Sendable {
    /// Places for each destination, 1…`widthMaximum`.
    let width: Int
    let hasLabels: Bool
    /// The places of number 0, those of number 1, and so on; shorter than the prefix table where nothing was ever
    /// advertised.
    var routes: [AdvertisedRoute] = []
    /// By place, with labels only.
    var labels: [UInt32] = []
    /// Places in use.
    var count = 0

    static var widthMaximum: Int { 16 }

    init(width: Int, hasLabels: Bool) {
        self.width = width
        self.hasLabels = hasLabels
    }

    /// Makes room for that many destinations.
    mutating func reserve(_ destinations: Int) {
        let wanted = destinations * width
        if routes.count >= wanted { return }
        routes.append(contentsOf: repeatElement(.none, count: wanted - routes.count))
        if hasLabels { labels.append(contentsOf: repeatElement(0, count: wanted - labels.count)) }
    }

    @inline(__always)
    func place(_ number: UInt32, _ k: Int = 0) -> Int { Int(number) &* width &+ k }
    /// What is in place `k`.
    @inline(__always)
    func route(_ number: UInt32, _ k: Int = 0) -> AdvertisedRoute {
        let at = place(number, k)
        return at < routes.count ? routes[at] : .none
    }
    @inline(__always)
    func label(_ number: UInt32, _ k: Int) -> UInt32 {
        hasLabels && place(number, k) < labels.count ? labels[place(number, k)] : 0
    }
    /// Whether anything is advertised.
    func advertises(_ number: UInt32) -> Bool {
        for k in 0..<width where route(number, k).handle != 0 { return true }
        return false
    }
    /// Destinations of which something is advertised, ascending.
    func forEachAdvertised(_ body: (UInt32) -> Void) {
        for number in 0..<(routes.count / width) where advertises(UInt32(number)) { body(UInt32(number)) }
    }
}

extension AdjRIBOut: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(UInt8(width))
        writer.write(hasLabels)
        writer.writeBlock(routes)
        writer.writeBlock(labels)
        writer.write(UInt64(count))
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let at = reader.position
        let width: UInt8 = try reader.read()
        self.init(width: Int(width), hasLabels: try reader.readBool())
        routes = try reader.readBlock(of: AdvertisedRoute.self)
        labels = try reader.readBlock(of: UInt32.self)
        count = try reader.readCount()
        guard width > 0, width <= Self.widthMaximum, routes.count % Int(width) == 0,
            labels.count == (hasLabels ? routes.count : 0)
        else { throw DecodeError("Adj-RIB-Out", at: at, .badValue) }
    }
}
