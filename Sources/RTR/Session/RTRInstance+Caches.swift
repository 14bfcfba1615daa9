import Machine
import Records
import Routing
import Wire

/// Which cache is used when (RFC 8210 §10), connections, and what a failure costs.
extension RTRInstance {
    /// After every input: whose turn it is.
    mutating func steer(at now: Instant, into effects: inout [Effect]) {
        for number in order {
            guard let cache = cache(number) else { continue }
            if cache.isInSync { return }
            switch cache.state {
            case .waiting: continue
            case .idle: return connect(number, into: &effects)
            case .connecting, .asking, .loading, .synchronized: return
            }
        }
    }

    private mutating func connect(_ number: Int, into effects: inout [Effect]) {
        caches[number]!.state = .connecting
        effects.append(.connect(endpoint(number)))
    }

    func endpoint(_ number: Int) -> StreamEndpoint {
        let configuration = caches[number]!.configuration
        return StreamEndpoint(
            number: StreamEndpointID(UInt16(number)), local: configuration.localAddress, localPort: 0,
            remote: configuration.address, remotePort: configuration.port, options: configuration.transportOptions)
    }

    mutating func connecting(_ number: Int, _ connection: ConnectionID, into effects: inout [Effect]) {
        guard let cache = cache(number), cache.state == .connecting, cache.connection == nil else {
            effects.append(.abort(connection))
            return
        }
        caches[number]!.connection = connection
    }

    /// RFC 8210 §7: the router speaks first.
    mutating func opened(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        caches[number]!.isOpen = true
        ask(number, at: now, into: &effects)
    }

    /// RFC 8210 §8.1: for what changed, if both sides know since when; else for everything.
    mutating func ask(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        let cache = caches[number]!
        ask(cache.canResume && cache.dataVersion == cache.version ? .serial : .reset, number, at: now, into: &effects)
    }

    mutating func ask(_ query: Cache.Query, _ number: Int, at now: Instant, into effects: inout [Effect]) {
        let cache = caches[number]!
        let pdu = query == .serial ? PDU.serialQuery(session: cache.session, serial: cache.serial) : .resetQuery
        caches[number]!.query = query
        caches[number]!.state = .asking
        caches[number]!.isNotified = false
        caches[number]!.lastQuery = now
        caches[number]!.lastHeard = now
        caches[number]!.counters.queriesSent &+= 1
        timers.cancel(.refresh(number))
        timers.set(.response(number), at: now + Self.patience)
        send(pdu, number, into: &effects)
    }

    func send(_ pdu: PDU, _ number: Int, into effects: inout [Effect]) {
        guard let cache = cache(number), let connection = cache.connection, cache.isOpen else { return }
        effects.append(.send(connection, pdu.encoded(version: cache.version)[...]))
    }

    // MARK: ends

    mutating func closed(_ connection: ConnectionID, _ end: ConnectionEnd, at now: Instant, into effects: inout [Effect]) {
        if let at = lingering.firstIndex(of: connection) {
            lingering.remove(at: at)
            timers.cancel(.linger(connection))
            return
        }
        guard let number = number(of: connection) else { return }
        // There is nothing left to finish.
        let wasOpen = caches[number]!.isOpen
        caches[number]!.connection = nil
        if wasOpen, end == .resetByPeer || end == .finished {
            closedByCache(number, "connection \(end)", at: now, into: &effects)
        } else {
            lose(number, "connection \(end)", at: now, into: &effects)
        }
    }

    /// RFC 8210 §7, case 1: a cache that knows version 0 alone may close the connection over our first query.
    mutating func closedByCache(_ number: Int, _ reason: String, at now: Instant, into effects: inout [Effect]) {
        let cache = caches[number]!
        if !cache.isNegotiated, cache.version == 1 { return fallBack(number, reason, at: now, into: &effects) }
        lose(number, reason, at: now, into: &effects)
    }

    /// Tries version 0, at once: a mismatch of versions overrides the Retry Interval (RFC 8210 §6).
    mutating func fallBack(_ number: Int, _ reason: String, at now: Instant, into effects: inout [Effect]) {
        event(.notice, number, "\(reason); it is asked again in version 0", into: &effects)
        drop(number, at: now, into: &effects)
        caches[number]!.version = 0
        caches[number]!.state = .idle
    }

    /// A query failed: the Retry Interval of RFC 8210 §6.
    /// - Parameter report: what to tell the cache.
    mutating func fail(
        _ number: Int, _ reason: String, report: PDU? = nil, at now: Instant, into effects: inout [Effect]
    ) {
        if let report {
            caches[number]!.counters.errorsSent &+= 1
            send(report, number, into: &effects)
        }
        end(number, reason, after: .seconds(Int(retryInterval(number))), at: now, into: &effects)
    }

    /// The connection was lost, or did not come to be.
    mutating func lose(_ number: Int, _ reason: String, at now: Instant, into effects: inout [Effect]) {
        let doublings = Int64(min(caches[number]!.failures, 16))
        let pause = Duration.nanoseconds(Self.reconnectMinimum.inNanoseconds << doublings)
        end(number, reason, after: min(pause, .seconds(Int(retryInterval(number)))), at: now, into: &effects)
    }

    private func retryInterval(_ number: Int) -> UInt32 { configuration?.retry ?? caches[number]!.timing.retry }

    mutating func end(
        _ number: Int, _ reason: String, after pause: Duration, at now: Instant, into effects: inout [Effect]
    ) {
        let wasInSync = caches[number]!.isInSync, hasSpoken = caches[number]!.isOpen
        event(wasInSync ? .warning : .notice, number, "session ended: \(reason)", into: &effects)
        drop(number, at: now, into: &effects)
        // One that did not even answer in version 0 gets the newer one next time.
        if hasSpoken, !wasInSync { caches[number]!.version = 1 }
        caches[number]!.lastFailure = reason
        caches[number]!.failures = min(caches[number]!.failures + 1, 1 << 16)
        caches[number]!.state = .waiting
        timers.set(.retry(number), at: now + pause)
    }

    /// Lets the connection go, and what was said and is not complete. What is in force stays.
    mutating func drop(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        guard let cache = cache(number) else { return }
        if let connection = cache.connection {
            if cache.isOpen {
                effects.append(.finish(connection))
                let at = lingering.firstIndex { $0 > connection } ?? lingering.count
                lingering.insert(connection, at: at)
                timers.set(.linger(connection), at: now + Self.lingerTime)
            } else {
                effects.append(.abort(connection))
            }
        }
        table.rollback(number)
        timers.cancel(.refresh(number))
        timers.cancel(.response(number))
        timers.cancel(.retry(number))
        caches[number]!.forgetConnection()
        caches[number]!.state = .idle
    }

    // MARK: data

    /// RFC 8210 §5.8: all that was asked for is there.
    mutating func complete(_ number: Int, serial: UInt32, _ told: CacheTiming?, at now: Instant, into effects: inout [Effect]) {
        table.commit(number)
        let isFirst = !caches[number]!.isInSync
        var timing = told ?? CacheTiming()
        timing.refresh = configuration?.refresh ?? timing.refresh
        timing.retry = configuration?.retry ?? timing.retry
        timing.expire = configuration?.expire ?? timing.expire
        timing = timing.bounded
        caches[number]!.timing = timing
        caches[number]!.session = caches[number]!.responseSession
        caches[number]!.serial = serial
        caches[number]!.dataVersion = caches[number]!.version
        caches[number]!.canResume = true
        caches[number]!.routerKeys = caches[number]!.stagedKeys
        caches[number]!.state = .synchronized
        caches[number]!.isInSync = true
        caches[number]!.failures = 0
        caches[number]!.synchronizedAt = now
        caches[number]!.expiresAt = now + .seconds(Int(timing.expire))
        timers.cancel(.response(number))
        timers.set(.refresh(number), at: now + .seconds(Int(timing.refresh)))
        timers.set(.expire(number), at: now + .seconds(Int(timing.expire)))
        if caches[number]!.isNotified { follow(number, at: now, into: &effects) }
        guard isFirst else { return }
        event(
            .notice, number,
            "in use: \(table.count(of: number)) validated payloads, serial \(serial), version \(caches[number]!.version)",
            into: &effects)
        letOthersGo(number, at: now, into: &effects)
    }

    /// RFC 8210 §10: there is a full set of data, so that what others said need not be kept, and those that are less preferred
    /// need not be asked.
    private mutating func letOthersGo(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        var isBehind = false
        for other in order {
            if other == number {
                isBehind = true
                continue
            }
            if isBehind { drop(other, at: now, into: &effects) }
            // One that is about to say all again replaces what it said itself.
            switch caches[other]!.state {
            case .idle, .waiting, .connecting: forgetData(other)
            case .asking, .loading, .synchronized: break
            }
        }
    }

    /// Nothing that the cache said is in force.
    /// - Parameter keepsStep: a whole answer that is coming in goes on coming in.
    mutating func forgetData(_ number: Int, keepsStep: Bool = false) {
        table.remove(number, keepsStep: keepsStep)
        timers.cancel(.expire(number))
        caches[number]!.canResume = false
        caches[number]!.routerKeys = 0
        caches[number]!.expiresAt = nil
    }

    /// RFC 8210 §6: the data must not be kept any longer.
    mutating func expire(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        guard let cache = cache(number) else { return }
        event(.warning, number, "\(table.count(of: number)) validated payloads expired", into: &effects)
        if cache.state == .asking || cache.state == .loading, cache.query == .serial {
            // What comes in would be changes of what is no longer there.
            fail(number, "its data expired before it answered", at: now, into: &effects)
        }
        forgetData(number, keepsStep: true)
    }

    /// RFC 8210 §5.2: now would be a good time to poll.
    mutating func follow(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        let due = caches[number]!.lastQuery + Self.notifyInterval
        if due <= now { ask(number, at: now, into: &effects) } else { timers.set(.refresh(number), at: due) }
    }
}
