import RTR
import Routing
import Wire

extension RPKIView {
    /// `show rpki`: one line for each cache, or what is said of a prefix.
    public var lines: [String] { prefix.map(about) ?? summary }

    private var summary: [String] {
        if caches.isEmpty { return ["no caches are configured; routes are neither valid nor invalid"] }
        var table = TextTable([
            ("Cache", .left), ("Port", .right), ("Preference", .right), ("State", .left), ("Version", .right), ("Serial", .right),
            ("Payloads", .right), ("Age", .right), ("Expires in", .right),
        ])
        for cache in caches {
            table.append([
                (cache.isInUse ? "* " : "  ") + "\(cache.address)", "\(cache.port)", "\(cache.preference)", "\(cache.state)",
                cache.version.map { "\($0)" } ?? "-", cache.serial.map { "\($0)" } ?? "-", "\(cache.payloads)",
                cache.age.map(Words.upTime) ?? "-", cache.expiresIn.map(Words.upTime) ?? "-",
            ])
        }
        var lines = table.lines
        for cache in caches where !cache.lastFailure.isEmpty { lines.append("\(cache.address): \(cache.lastFailure)") }
        let count = ipv4Payloads + ipv6Payloads
        lines += ["", "\(Words.count(count, "payload", "payloads")) in force: \(ipv4Payloads) IPv4, \(ipv6Payloads) IPv6"]
        return lines
    }

    private func about(_ prefix: IPPrefix) -> [String] {
        var lines: [String] = []
        if let validity, let origin { lines.append("\(prefix) originated by AS \(origin) is \(validity)") }
        guard let covering, !covering.isEmpty else { return lines + ["no payload covers \(prefix)"] }
        var table = TextTable([("Prefix", .left), ("Up to", .right), ("Origin", .right)])
        for payload in covering {
            table.append(["\(payload.prefix)", "/\(payload.maximumLength)", payload.origin == 0 ? "nobody" : "\(payload.origin)"])
        }
        return lines + table.lines
    }
}
