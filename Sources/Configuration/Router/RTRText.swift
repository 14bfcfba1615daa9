import RTR
import Wire

/// The section `rpki`: the caches that say which AS may originate what (RFC 8210).
struct RTRText {
    let networks: ConnectedNetworks
    private let seen = Seen<String>()

    init(networks: ConnectedNetworks) { self.networks = networks }

    var section: Section<RTRConfiguration> {
        Section(
            RTRConfiguration(caches: []),
            foreign: [
                "cache": "caches", "servers": "caches", "rtr": "caches", "polling-period": "refresh",
                "refresh-interval": "refresh",
                "retry-interval": "retry", "expire-interval": "expire",
            ]
        ) {
            Setting(
                "caches", each: \.caches, atMost: RTRConfiguration.cachesMaximum,
                "The one with the lowest preference that answers is used."
            ) { _ in cache }.required("write at least one cache")
            Setting("refresh", \.refresh, .seconds(1...86_400), "Time between two polls; what the cache says otherwise.")
            Setting("retry", \.retry, .seconds(1...7_200), "After a poll that failed; likewise.")
            Setting(
                "expire", \.expire, .seconds(600...172_800), "Data of a cache that is silent stay in force so long; likewise.")
            Setting(
                "max-payloads", \.maximumPayloads, .number(1...100_000_000, "a number of payloads"),
                "Of all caches; a cache that has more ends its session. \(RTRConfiguration.payloadsDefault) otherwise.")
        } check: { rtr, fields in
            if rtr.caches.isEmpty { fields["caches"]?.error("at least one cache is needed") }
            if let refresh = rtr.refresh, let expire = rtr.expire, expire <= refresh {
                fields["expire"]?.error("it must be above refresh, or data expire before they are asked for again")
            }
        }
    }

    private var cache: Section<CacheConfiguration> {
        Section(
            CacheConfiguration(address: .v4(.any)),
            foreign: ["server": "address", "host": "address", "source": "local-address", "md5": "password"],
            short: .init(values: "an address") { field, cache in
                guard let address = field.address() else { return false }
                cache.address = address
                return note(cache, field)
            } text: {
                $0 == CacheConfiguration(address: $0.address) ? "\($0.address)" : nil
            }
        ) {
            Setting("address", \.address, .address, "Of the cache.").required()
            Setting("port", \.port, .number(1...65_535, "a port"), "RFC 8210 §9.")
            Setting("preference", \.preference, .number(0...65_535, "a preference"), "The lower, the more preferred.")
            Setting(
                "local-address", \.localAddress, .address,
                "One of the router's; the one of the interface that reaches the cache otherwise.")
            Setting("password", \.md5Key, .secret(1...80, "a password"), "TCP MD5 (RFC 2385).")
            Setting("description", \.description, .text(0...255, "a description"), "For people.")
        } check: { cache, fields in
            _ = note(cache, fields.field)
            if let local = cache.localAddress, !networks.isOwn(local) {
                fields["local-address"]?.error("\(local) is no address of the router")
            }
        }
    }

    private func note(_ cache: CacheConfiguration, _ field: Field) -> Bool {
        if networks.isOwn(cache.address) {
            field.error("\(cache.address) is the router itself")
            return false
        }
        guard seen.note("\(cache.address) \(cache.port)") else {
            field.error("the cache \(cache.address) port \(cache.port) is written twice")
            return false
        }
        return true
    }
}
