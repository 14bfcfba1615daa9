import Engine
import Management
import RTR
import Routing
import Wire

extension ManagementAnswers {
    /// The caches, and what their payloads say of a prefix.
    func rpki(_ query: RPKIQuery) async throws -> RPKIView {
        let prefix = try query.prefix.map { text in
            guard let prefix = IPPrefix(text) ?? IPAddress(text).map({ IPPrefix($0, .max) }) else {
                throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix and no address")
            }
            return prefix
        }
        if prefix == nil, query.origin != nil { throw ManagementFailure(.badRequest, "an origin is asked for with a prefix") }
        let now = try await routerNow()
        return try await engine.inspect { engine in
            let rtr = engine.rtr
            var view = RPKIView(
                caches: rtr.cacheViews.map { Self.cache($0, now) }, ipv4Payloads: rtr.table.count(of: .ipv4),
                ipv6Payloads: rtr.table.count(of: .ipv6))
            guard let prefix else { return view }
            view.prefix = "\(prefix)"
            view.covering = rtr.table.covering(prefix).map {
                RPKIView.Payload(prefix: "\($0.prefix)", maximumLength: $0.maximumLength, origin: $0.origin)
            }
            view.origin = query.origin
            view.validity = query.origin.map { "\(rtr.table.validity(of: prefix, origin: $0))" }
            return view
        }
    }

    private static func cache(_ cache: CacheView, _ now: Int64) -> RPKIView.Cache {
        var view = RPKIView.Cache(
            address: "\(cache.address)", port: cache.port, preference: cache.preference, state: "\(cache.state)")
        view.description = cache.description
        view.isInUse = cache.isInUse
        view.version = cache.version
        view.session = cache.session
        view.serial = cache.serial
        view.payloads = cache.payloads
        view.routerKeys = cache.routerKeys
        view.age = cache.synchronizedAt.map { TimeSpan(.nanoseconds(max(0, now - $0))) }
        view.expiresIn = cache.expiresAt.map { TimeSpan(.nanoseconds(max(0, $0 - now))) }
        view.refresh = cache.refresh
        view.retry = cache.retry
        view.expire = cache.expire
        view.lastFailure = cache.lastFailure
        let counters = cache.counters
        view.counters = [
            Counter("octets received", counters.octetsReceived), Counter("messages received", counters.messagesReceived),
            Counter("payloads received", counters.payloadsReceived),
            Counter("router keys received", counters.routerKeysReceived),
            Counter("notifies received", counters.notifiesReceived), Counter("errors received", counters.errorsReceived),
            Counter("errors sent", counters.errorsSent), Counter("queries sent", counters.queriesSent),
            Counter("messages quarantined", counters.quarantined),
        ]
        return view
    }

    /// Begins anew with a cache, or with all.
    func clearCaches(_ address: String) async throws -> String {
        let known = try await engine.inspect { engine in engine.rtr.cacheViews.map(\.address) }
        if address.isEmpty {
            if known.isEmpty { throw ManagementFailure(.notFound, "no caches are configured") }
        } else {
            guard let wanted = IPAddress(address), known.contains(wanted) else {
                let names = known.map(\.description).joined(separator: ", ")
                throw ManagementFailure(
                    .notFound, "there is no cache '\(address.prefix(64))'" + (names.isEmpty ? "" : "; there is \(names)"))
            }
        }
        _ = try await request(.command(.clearCache(address: address)))
        return address.isEmpty ? "cleared all caches" : "cleared \(address)"
    }
}
