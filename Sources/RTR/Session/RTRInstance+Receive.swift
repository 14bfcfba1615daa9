import Machine
import Records
import Routing
import Wire

/// Why a session ends by what the cache said.
struct RTRFault: Error {
    var code: RTRErrorCode
    var reason: String
    /// RFC 8210 §5.1: what was learned under another Session ID is worth nothing.
    var flushes = false

    init(_ code: RTRErrorCode, _ reason: String, flushes: Bool = false) {
        self.code = code
        self.reason = reason
        self.flushes = flushes
    }
}

/// From octets to PDUs, and what they do.
extension RTRInstance {
    mutating func receive(_ bytes: [UInt8], on connection: ConnectionID, at now: Instant, into effects: inout [Effect]) {
        guard let number = number(of: connection) else { return }
        caches[number]!.counters.octetsReceived &+= UInt64(bytes.count)
        caches[number]!.lastHeard = now
        var octets = bytes
        if !caches[number]!.partial.isEmpty {
            octets = caches[number]!.partial
            octets += bytes
            caches[number]!.partial = []
        }
        let buffer = octets
        var position = 0, message = 0
        while buffer.count - position >= PDUHeader.size {
            var r = ByteReader(buffer.span.bytes.extracting(position..<(position + PDUHeader.size)))
            // Eight octets are there.
            guard let header = try? PDUHeader(from: &r) else { break }
            do {
                try check(header, number)
                guard buffer.count - position >= header.length else { break }
                message += 1
                let whole = position..<(position + header.length)
                caches[number]!.counters.messagesReceived &+= 1
                if fatal.isEmpty || !isFatal(buffer[whole], at: now) {
                    watch.begins(message, buffer[whole])
                    try take(
                        header, buffer.span.bytes.extracting((position + PDUHeader.size)..<(position + header.length)), number,
                        at: now, into: &effects)
                } else {
                    try skip(header, number)
                }
                position += header.length
            } catch {
                watch.ends()
                let end = min(position + max(header.length, PDUHeader.size), buffer.count, position + PDUHeader.payloadMaximum)
                return refuse(error, header, buffer[position..<end], number, at: now, into: &effects)
            }
            // Whatever ended the session also ended the meaning of what follows.
            guard caches[number]?.connection == connection else { return watch.ends() }
        }
        watch.ends()
        if position < buffer.count { caches[number]!.partial = Array(buffer[position...]) }
    }

    /// What can be said of a PDU by its first eight octets, and must be said before it is waited for.
    @inline(__always)
    private func check(_ header: PDUHeader, _ number: Int) throws(RTRFault) {
        if header.isPlausible { return }
        throw RTRFault(.corruptData, "a PDU of type \(header.type) with \(header.length) octets")
    }

    /// RFC 8210 §5.11 and §12: tells the cache, unless it was an Error Report, and ends the session.
    private mutating func refuse(
        _ fault: RTRFault, _ header: PDUHeader, _ octets: ArraySlice<UInt8>, _ number: Int, at now: Instant,
        into effects: inout [Effect]
    ) {
        let isReport = header.type == PDUType.errorReport.rawValue
        let report = PDU.errorReport(code: fault.code.rawValue, pdu: Array(octets), text: fault.reason)
        if fault.flushes {
            if !isReport {
                caches[number]!.counters.errorsSent &+= 1
                send(report, number, into: &effects)
            }
            // Not a query that failed: everything is to be asked for anew.
            lose(number, fault.reason, at: now, into: &effects)
            forgetData(number)
        } else {
            fail(number, fault.reason, report: isReport ? nil : report, at: now, into: &effects)
        }
        if fault.code == .internalError { event(.alarm, number, fault.reason, into: &effects) }
    }

    private mutating func take(
        _ header: PDUHeader, _ body: RawSpan, _ number: Int, at now: Instant, into effects: inout [Effect]
    ) throws(RTRFault) {
        let type = PDUType(rawValue: header.type)
        if type == .errorReport { return try takeReport(header, body, number, at: now, into: &effects) }
        guard try negotiate(header, number) else { return }
        // RFC 8210 §5.10: version 0 has no router keys.
        guard let type, header.version > 0 || type != .routerKey else {
            throw RTRFault(.unsupportedType, "a PDU of unknown type \(header.type)")
        }
        let pdu: PDU
        do {
            pdu = try PDU(header, body: body)
        } catch {
            throw RTRFault(.corruptData, "\(error)")
        }
        switch pdu {
        case .payload(let vrp, let isAnnounced):
            guard caches[number]!.state == .loading else { throw Self.unasked(type) }
            caches[number]!.counters.payloadsReceived &+= 1
            let limit = configuration?.payloadLimit ?? 0
            switch table.stage(vrp, isAnnounced: isAnnounced, by: number, maximum: limit) {
            case .done: break
            case .duplicate: throw RTRFault(.duplicateAnnouncement, "\(vrp) is announced twice")
            case .unknown: throw RTRFault(.unknownWithdrawal, "\(vrp) is withdrawn and was not announced")
            case .full: throw RTRFault(.internalError, "more validated payloads than there is room for (\(limit))")
            }
        case .routerKey(_, let isAnnounced):
            guard caches[number]!.state == .loading else { throw Self.unasked(type) }
            caches[number]!.counters.routerKeysReceived &+= 1
            guard isAnnounced || caches[number]!.stagedKeys > 0 else {
                throw RTRFault(.unknownWithdrawal, "a router key is withdrawn and none was announced")
            }
            caches[number]!.stagedKeys += isAnnounced ? 1 : -1
        case .cacheResponse(let session): try respond(session, number)
        case .endOfData(let session, let serial, let timing):
            let cache = caches[number]!
            guard cache.state == .loading else { throw Self.unasked(type) }
            guard session == cache.responseSession else {
                throw RTRFault(
                    .corruptData, "End of Data of session \(session) in session \(cache.responseSession)", flushes: true)
            }
            if cache.query == .serial, Self.isEarlier(serial, cache.serial) {
                throw RTRFault(.corruptData, "serial \(serial) after \(cache.serial)", flushes: true)
            }
            complete(number, serial: serial, timing, at: now, into: &effects)
        case .cacheReset:
            guard caches[number]!.state == .asking, caches[number]!.query == .serial else { throw Self.unasked(type) }
            // RFC 8210 §8.3: a more preferred one is tried anyway, in its time.
            ask(.reset, number, at: now, into: &effects)
        case .serialNotify(let session, let serial): try notified(session, serial, number, at: now, into: &effects)
        case .serialQuery, .resetQuery: throw RTRFault(.invalidRequest, "a query from a cache")
        case .errorReport: break
        }
    }

    private static func unasked(_ type: PDUType) -> RTRFault {
        RTRFault(.corruptData, "a PDU of type \(type.rawValue) that answers nothing")
    }

    /// RFC 8210 §7. Says whether the PDU is to be looked at.
    @inline(__always)
    private mutating func negotiate(_ header: PDUHeader, _ number: Int) throws(RTRFault) -> Bool {
        let version = caches[number]!.version
        if caches[number]!.isNegotiated {
            if header.version == version { return true }
            throw RTRFault(.unexpectedVersion, "version \(header.version) in a session of version \(version)")
        }
        if header.type == PDUType.serialNotify.rawValue {
            caches[number]!.counters.notifiesReceived &+= 1
            return false
        }
        guard header.version <= version else {
            throw RTRFault(.unsupportedVersion, "version \(header.version) in answer to version \(version)")
        }
        if header.version < version {
            // A serial number of version 1 says nothing in version 0.
            guard caches[number]!.query == .reset else {
                throw RTRFault(.unexpectedVersion, "version 0 in answer to a serial number of version 1", flushes: true)
            }
            caches[number]!.version = header.version
        }
        caches[number]!.isNegotiated = true
        return true
    }

    /// RFC 8210 §5.5
    private mutating func respond(_ session: UInt16, _ number: Int) throws(RTRFault) {
        let cache = caches[number]!
        guard cache.state == .asking else { throw Self.unasked(.cacheResponse) }
        if cache.query == .serial, session != cache.session {
            throw RTRFault(.corruptData, "session \(session) in answer to session \(cache.session)", flushes: true)
        }
        table.begin(number, isWhole: cache.query == .reset)
        caches[number]!.stagedKeys = cache.query == .reset ? 0 : cache.routerKeys
        caches[number]!.responseSession = session
        caches[number]!.state = .loading
    }

    /// RFC 8210 §5.2
    private mutating func notified(
        _ session: UInt16, _ serial: UInt32, _ number: Int, at now: Instant, into effects: inout [Effect]
    ) throws(RTRFault) {
        caches[number]!.counters.notifiesReceived &+= 1
        let cache = caches[number]!
        guard cache.state == .synchronized else {
            // Whatever comes in now may be older.
            caches[number]!.isNotified = cache.isInSync
            return
        }
        guard session == cache.session else {
            throw RTRFault(.corruptData, "Serial Notify of session \(session) in session \(cache.session)", flushes: true)
        }
        if serial != cache.serial { follow(number, at: now, into: &effects) }
    }

    /// RFC 8210 §12
    private mutating func takeReport(
        _ header: PDUHeader, _ body: RawSpan, _ number: Int, at now: Instant, into effects: inout [Effect]
    ) throws(RTRFault) {
        caches[number]!.counters.errorsReceived &+= 1
        var text = ""
        if case .errorReport(_, _, let said)? = try? PDU(header, body: body), !said.isEmpty { text = ": \(said.prefix(200))" }
        let reason = "the cache reports \(RTRErrorCode.name(header.field))\(text)"
        // RFC 8210 §7, case 1.
        if header.field == RTRErrorCode.unsupportedVersion.rawValue, !caches[number]!.isNegotiated, caches[number]!.version == 1 {
            return fallBack(number, reason, at: now, into: &effects)
        }
        fail(number, reason, at: now, into: &effects)
    }

    /// RFC 1982 §3.2
    static func isEarlier(_ a: UInt32, _ b: UInt32) -> Bool { a != b && b &- a < 1 << 31 }
}
