import Machine
import Wire

/// The service LANs, each a bridge of its own that learns addresses, whose ports can be slow, lossy, cut, or cut one way.
struct Bridge {
    /// How a port treats frames. Chances are per 10,000.
    struct Weather: Equatable {
        var loss = 0
        var duplication = 0
        /// A frame of which this comes true waits `reorderDelay` longer than the others.
        var reordering = 0
        var delayMinimum: Duration = .microseconds(20)
        var delayMaximum: Duration = .microseconds(60)
        var reorderDelay: Duration = .microseconds(400)
        static let fair = Weather()
    }

    struct Port {
        var weather = Weather.fair
        /// From the station to the bridge, and from the bridge to the station.
        var isCutInward = false
        var isCutOutward = false
    }

    private(set) var ports: [Port]
    /// The LAN of each port: nothing passes from one to the other.
    let lans: [Int]
    private struct Station: Hashable {
        var lan: Int
        var address: MACAddress
    }
    /// Looked up, never iterated. The port at which each address was seen last.
    private var learnt: [Station: Int] = [:]

    /// Frames between the two controllers are lost.
    var isTwinPathCut = false

    init(portCount: Int) { self.init(lans: Array(repeating: 0, count: portCount)) }
    init(lans: [Int]) {
        self.lans = lans
        ports = Array(repeating: Port(), count: lans.count)
        twins = lans.indices.map { $0 < 2 }
    }
    /// Which ports are the controllers'.
    var twins: [Bool]

    mutating func setWeather(_ weather: Weather, port: Int) { ports[port].weather = weather }
    mutating func cut(port: Int, inward: Bool, outward: Bool) {
        ports[port].isCutInward = inward
        ports[port].isCutOutward = outward
    }

    /// Where a frame goes and after how long. It may go twice to one place, or nowhere.
    mutating func forward(
        _ frame: [UInt8], from port: Int, random: inout RandomNumbers
    ) -> [(port: Int, delay: Duration)] {
        guard frame.count >= 14, !ports[port].isCutInward else { return [] }
        let destination = Self.address(frame, at: 0), source = Self.address(frame, at: 6)
        let lan = lans[port]
        if !source.isGroup { learnt[Station(lan: lan, address: source)] = port }
        let targets: [Int]
        if !destination.isGroup, let known = learnt[Station(lan: lan, address: destination)] {
            targets = known == port ? [] : [known]
        } else {
            targets = ports.indices.filter { $0 != port && lans[$0] == lan }
        }
        var deliveries: [(port: Int, delay: Duration)] = []
        for target in targets where !ports[target].isCutOutward && !(isTwinPathCut && twins[port] && twins[target]) {
            let lost =
                random.chance(ports[port].weather.loss, in: 10_000) || random.chance(ports[target].weather.loss, in: 10_000)
            if lost { continue }
            deliveries.append((target, delay(port, target, &random)))
            if random.chance(ports[target].weather.duplication, in: 10_000) {
                deliveries.append((target, delay(port, target, &random)))
            }
        }
        return deliveries
    }

    /// How long a frame takes between two ports that share another VLAN, or `nil` if it is lost.
    func crossing(from port: Int, to target: Int, random: inout RandomNumbers) -> Duration? {
        guard !ports[port].isCutInward, !ports[target].isCutOutward, !(isTwinPathCut && port < 2 && target < 2),
            !random.chance(ports[port].weather.loss, in: 10_000), !random.chance(ports[target].weather.loss, in: 10_000)
        else { return nil }
        return delay(port, target, &random)
    }

    private func delay(_ from: Int, _ to: Int, _ random: inout RandomNumbers) -> Duration {
        var total = Duration.zero
        for weather in [ports[from].weather, ports[to].weather] {
            let low = Int(weather.delayMinimum.inNanoseconds), high = Int(weather.delayMaximum.inNanoseconds)
            total += .nanoseconds(random.number(in: low...max(low, high)))
            if random.chance(weather.reordering, in: 10_000) { total += weather.reorderDelay }
        }
        return total
    }

    static func address(_ frame: [UInt8], at offset: Int) -> MACAddress {
        MACAddress(raw: frame[offset..<(offset + 6)].reduce(0) { $0 << 8 | UInt64($1) })
    }
}
