import Engine
import LineCard
import Machine
import Records
import Wire

@testable import Simulator

/// The LAN, the speakers and one router that never fails, under virtual time.
final class SoloWorld {
    enum Happening {
        case frame(port: Int, [UInt8])
        case routerTime(Instant)
        case stationTime(Int, Instant)
        case speak(Int, (inout BGPSpeaker) -> [UInt8])
        case passThroughSnapshot
        case replaceLineCard
    }

    var now = Instant.zero
    var random: RandomNumbers
    var queue = EventQueue<Happening>()
    var bridge: Bridge
    var router: SoloRouter
    var stations: [SpeakerStation] = []
    var steps = 0
    var failures: [String] = []
    private var routerWakeUp: Instant?
    private var stationWakeUps: [Instant?] = []

    init(seed: UInt64, peerCount: Int, keepsLog: Bool = false) {
        random = RandomNumbers(seed: mix64(seed))
        bridge = Bridge(portCount: 1 + peerCount)
        router = SoloRouter(seed: random.next(), keepsLog: keepsLog)
        for number in 0..<peerCount {
            stations.append(
                SpeakerStation(
                    number: number, routerAddress: Simulation.routerAddress, isActive: random.chance(1, in: 2),
                    seed: random.next()))
            stationWakeUps.append(nil)
        }
        transmit(router.start(RouterPlan.encoded(peerCount: peerCount), at: now).map(\.octets), from: 0)
        rescheduleRouter()
        for number in stations.indices {
            transmit(stations[number].start(number: number, at: now), from: 1 + number)
            reschedule(station: number)
        }
    }

    func run(for duration: Duration) {
        let end = now + duration
        while let next = queue.nextTime, next <= end {
            let (time, happening) = queue.pop()!
            now = time
            steps += 1
            switch happening {
            case .frame(0, let frame):
                transmit(router.receive(frame, at: now).map(\.octets), from: 0)
                rescheduleRouter()
            case .frame(let port, let frame):
                transmit(stations[port - 1].receive(frame, at: now), from: port)
                reschedule(station: port - 1)
            case .routerTime(let time):
                guard routerWakeUp == time else { continue }
                routerWakeUp = nil
                transmit(router.time(at: now).map(\.octets), from: 0)
                rescheduleRouter()
            case .stationTime(let number, let time):
                guard stationWakeUps[number] == time else { continue }
                stationWakeUps[number] = nil
                transmit(stations[number].time(at: now), from: 1 + number)
                reschedule(station: number)
            case .speak(let number, let body):
                transmit(stations[number].speak(at: now, body), from: 1 + number)
                reschedule(station: number)
            case .passThroughSnapshot:
                if !router.passThroughSnapshot() { failures.append("at \(now): a restored engine encodes differently") }
            case .replaceLineCard:
                transmit(router.replaceLineCard(seed: random.next(), at: now).map(\.octets), from: 0)
                rescheduleRouter()
            }
        }
        now = end
    }

    /// Announcements and withdrawals at random moments.
    func churn(_ count: Int, within: Duration, prefixes: Int = 60) {
        for _ in 0..<count {
            let time = now + .microseconds(random.number(in: 0...Int(within.inNanoseconds / 1000)))
            let station = random.number(in: 0...(stations.count - 1))
            let prefix = RandomWeather.prefix(&random, count: prefixes)
            if random.chance(2, in: 3) {
                let tail = (0..<random.number(in: 0...3)).map { _ in UInt32(random.number(in: 100...120)) }
                queue.schedule(.speak(station) { $0.announce(prefix, tail: tail) }, at: time)
            } else {
                queue.schedule(.speak(station) { $0.withdraw(prefix) }, at: time)
            }
        }
    }

    /// What the peers have to complain about.
    func verdict() -> [String] {
        var sentences = failures + stations.flatMap(\.speaker.violations)
        for station in stations {
            let speaker = station.speaker
            if speaker.state != .established { sentences.append("AS \(speaker.asNumber) is \(speaker.state)") }
            let expected = SessionChecker.expectedView(of: speaker, among: stations.map(\.speaker))
            if expected.count != speaker.view.count
                || !zip(expected, speaker.view).allSatisfy({ $0.prefix == $1.prefix && $0.path == $1.path })
            {
                sentences.append(
                    SessionChecker.difference(speaker, expected: expected, actual: speaker.view))
            }
        }
        return sentences
    }

    private func transmit(_ frames: [[UInt8]], from port: Int) {
        for frame in frames {
            for (target, delay) in bridge.forward(frame, from: port, random: &random) {
                queue.schedule(.frame(port: target, frame), at: now + delay)
            }
        }
    }

    private func rescheduleRouter() {
        guard let next = router.nextDeadline else { return }
        let time = max(next, now)
        if let planned = routerWakeUp, planned <= time { return }
        routerWakeUp = time
        queue.schedule(.routerTime(time), at: time)
    }

    private func reschedule(station number: Int) {
        guard let next = stations[number].nextDeadline else { return }
        let time = max(next, now)
        if let planned = stationWakeUps[number], planned <= time { return }
        stationWakeUps[number] = time
        queue.schedule(.stationTime(number, time), at: time)
    }
}
