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
                caches: rtr.cacheViews(at: now), ipv4Payloads: rtr.table.count(of: .ipv4),
                ipv6Payloads: rtr.table.count(of: .ipv6))
            guard let prefix else { return view }
            view.prefix = prefix
            view.covering = rtr.table.covering(prefix)
            view.origin = query.origin
            view.validity = query.origin.map { "\(rtr.table.validity(of: prefix, origin: $0))" }
            return view
        }
    }

    /// Begins anew with a cache, or with all.
    func clearCaches(_ address: String) async throws -> String {
        let known = try await engine.inspect { engine in engine.rtr.cacheViews(at: .zero).map(\.address) }
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
