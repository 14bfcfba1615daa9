import Machine
import Records
import Routing
import Wire

/// The client of the RPKI-to-Router protocol as one deterministic machine: it asks caches for validated payloads and keeps
/// them in a table that says of a route's origin whether it is valid.
///
/// Standards: RFC 8210 (version 1) with the fall back to RFC 6810 (version 0); RFC 6811 §2 for the look-up; RFC 1982 for the
/// order of serial numbers; RFC 2385 on request. Router keys (RFC 8210 §5.10) are read and counted; nobody here asks for them.
///
/// Rooms:
/// - `RTRConfiguration.swift`: what the operator wants.
/// - `Packet/`: octets to values and back.
/// - `Session/`: a cache and the session with it; `+Receive` is RFC 8210 §5 and §7, `+Caches` which cache is used when (§10)
///   and what a failure costs, `+Configuration` what comes and goes, `+Quarantine` what was fatal to a controller.
/// - The table is `Routing/VRPTable.swift`: others ask it.
///
/// Which cache: they stand in order of preference. The first of them is asked; when it fails the next one is, while the
/// first waits its time and is tried again. Whoever has given all that it has is used, those behind it are let go of, and
/// those before it go on being tried, each in its time: one that succeeds replaces it. What a cache said stays in force until it
/// expires, or until another one has said all (§10): there is no moment without data in between.
///
/// What comes in answer to one query is in force at its End of Data and not before: a route is never judged by half of it.
///
/// Where the RFC leaves a choice:
/// - §5.2: a Serial Notify is followed at once, but not more often than every `notifyInterval`, whatever the cache says.
/// - §6: values out of their bounds are moved into them. The Retry Interval counts from a query that failed; a connection
///   that did not come to be, or was lost, is tried again after `reconnectMinimum`, doubled by each further failure up to it.
/// - §8.4: after No Data Available the connection is given up, and the Reset Query goes out on the next one.
/// - §5.6: a prefix with bits beyond its length is corrupt data.
///
/// Bounds: `RTRConfiguration.cachesMaximum` caches, so many payloads as the configuration says and 256 of one prefix, one PDU
/// per cache that is not complete. What is sent is a query now and then and one Error Report at the end of a session.
public struct RTRInstance: StreamProtocol {
    public typealias Configuration = RTRConfiguration
    public typealias Input = StreamProtocolInput<RTRConfiguration>
    public typealias Effect = StreamProtocolEffect

    /// How long a cache may be silent after a query.
    static let patience = Duration.seconds(60)
    /// How long an answer may take as a whole: a cache that dribbles keeps the router from the others.
    static let loadMaximum = Duration.seconds(600)
    static let notifyInterval = Duration.seconds(10)
    static let reconnectMinimum = Duration.seconds(10)
    /// How long a finished connection may take until it is aborted.
    static let lingerTime = Duration.seconds(20)

    /// `nil` while the protocol is not configured.
    public internal(set) var configuration: RTRConfiguration?
    /// By number: of the endpoint, and of the source in `table`. A cache keeps its number.
    var caches: [Cache?] = Array(repeating: nil, count: RTRConfiguration.cachesMaximum)
    /// Numbers of caches, the most preferred first. Derived.
    var order: [Int] = []
    /// What the caches say: a value to ask, and to keep a copy of.
    public internal(set) var table: VRPTable
    /// Finished by us, not yet by the cache, ascending.
    var lingering: [ConnectionID] = []
    var timers = TimerTable<CacheTimer>()
    /// What was fatal to a controller, to be known when it comes again.
    var fatal = FatalMemory()
    /// No part of the state.
    public var watch = PacketWatch()

    public init(seed: UInt64) { self.init(table: VRPTable(seed: seed)) }
    init(table: VRPTable) { self.table = table }

    public mutating func handle(_ input: Input, at now: Instant, into effects: inout [Effect]) {
        fireTimers(at: now, into: &effects)
        switch input {
        case .configure(let configuration, _): configure(configuration, at: now, into: &effects)
        case .connecting(let endpoint, let connection): connecting(Int(endpoint.value), connection, into: &effects)
        case .cannotConnect(let endpoint):
            let number = Int(endpoint.value)
            guard cache(number)?.state == .connecting else { break }
            lose(number, "no way to the cache", at: now, into: &effects)
        case .opened(let connection, _, _, let endpoint, let isOurs):
            guard isOurs, cache(Int(endpoint.value))?.connection == connection else {
                effects.append(.abort(connection))
                break
            }
            opened(Int(endpoint.value), at: now, into: &effects)
        case .received(let connection, let octets): receive(octets, on: connection, at: now, into: &effects)
        case .finished(let connection):
            guard let number = number(of: connection) else { break }
            closedByCache(number, "the cache closed the connection", at: now, into: &effects)
        case .closed(let connection, let end): closed(connection, end, at: now, into: &effects)
        case .fault(let connection, let octets, let message):
            fault(connection, octets, message: message, at: now, into: &effects)
        case .redundancy(let isRedundant): noteRedundancy(isRedundant, at: now)
        case .command(.clearCache(let address)): clear(address, at: now, into: &effects)
        case .command, .acknowledged, .nextHop, .nextHops, .redistribute, .bfd, .payloads, .takenOver, .memoryExhausted, .time:
            break
        }
        steer(at: now, into: &effects)
    }

    public var nextDeadline: Instant? { timers.next }

    /// Prefixes under which origins may be valid otherwise than before. Whoever hands the table on takes them.
    public mutating func takeChanges() -> [IPPrefix] { table.takeChanges() }

    public var progress: ProgressMark {
        get { watch.progress }
        set { watch.progress = newValue }
    }
    public var metTrap: Int? { watch.hasMetTrap ? watch.trapMessage : nil }

    // MARK: timers

    private mutating func fireTimers(at now: Instant, into effects: inout [Effect]) {
        while let timer = timers.popDue(at: now) {
            switch timer {
            case .retry(let number):
                guard cache(number)?.state == .waiting else { continue }
                if let until = heldUntil(number, at: now) {
                    timers.set(timer, at: until)
                } else {
                    caches[number]!.state = .idle
                }
            case .refresh(let number):
                if cache(number)?.state == .synchronized { ask(number, at: now, into: &effects) }
            case .response(let number):
                guard let cache = cache(number), cache.state == .asking || cache.state == .loading else { continue }
                let deadline = min(cache.lastHeard + Self.patience, cache.lastQuery + Self.loadMaximum)
                if deadline > now {
                    timers.set(timer, at: deadline)
                } else {
                    fail(number, "no answer in time", at: now, into: &effects)
                }
            case .expire(let number): expire(number, at: now, into: &effects)
            case .linger(let connection):
                guard let at = lingering.firstIndex(of: connection) else { continue }
                lingering.remove(at: at)
                effects.append(.abort(connection))
            }
        }
    }

    // MARK: small things

    func cache(_ number: Int) -> Cache? { number < caches.count ? caches[number] : nil }

    /// Whose connection it is.
    func number(of connection: ConnectionID) -> Int? {
        for number in caches.indices where caches[number]?.connection == connection { return number }
        return nil
    }

    func event(_ severity: Event.Severity, _ number: Int, _ message: String, into effects: inout [Effect]) {
        let name = cache(number).map { "cache \($0.configuration.address)" } ?? "cache"
        effects.append(.event(Event(severity, "rpki", "\(name): \(message)")))
    }
}

/// What the client waits for, by the number of the cache.
enum CacheTimer: Hashable, Sendable {
    /// It is tried again.
    case retry(Int)
    /// RFC 8210 §6: the next poll.
    case refresh(Int)
    /// An answer is due.
    case response(Int)
    /// RFC 8210 §6: what it said is in force no longer.
    case expire(Int)
    /// A finished connection is not closed.
    case linger(ConnectionID)
}
