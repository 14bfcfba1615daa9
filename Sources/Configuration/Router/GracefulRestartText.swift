import BGP

/// `graceful-restart`, of the BGP process and of its neighbors.
enum GracefulRestartText {
    /// What others call it, beside where it stands here.
    static let foreign = [
        "graceful-restart-helper": "graceful-restart: helper", "graceful-restart-disable": "graceful-restart: off",
        "restart-time": "graceful-restart: {restart-time: N}", "stalepath-time": "graceful-restart: {stale-routes-time: N}",
        "stale-routes-time": "graceful-restart: {stale-routes-time: N}",
        "long-lived-graceful-restart": "families: {ipv4-unicast: {long-lived-stale-time: 1h}}",
    ]

    /// What a neighbor has where it says nothing, and what concerns all of them.
    static var process: Section<GracefulRestartConfiguration> {
        let common = neighbor(GracefulRestartConfiguration())
        return Section(common.usual, foreign: common.foreign, short: common.short) {
            common.settings
            Setting(
                "selection-deferral-time", \.selectionDeferralTime, .seconds(1...300),
                "With mode full: after a cold start routes are selected no later than this (RFC 4724 §4.1).")
        }
    }

    static func neighbor(_ usual: GracefulRestartConfiguration) -> Section<GracefulRestartConfiguration> {
        Section(
            usual,
            foreign: [
                "stalepath-time": "stale-routes-time", "stale-path-time": "stale-routes-time",
                "select-defer-time": "selection-deferral-time at the process", "selection-deferral-time": "it at the process",
                "helper-only": "mode: helper", "enabled": "mode: full, helper or off", "disable": "mode: off",
                "stale-time": "families: {ipv4-unicast: {long-lived-stale-time: 1h}} at the neighbor",
                "advertise-to-non-llgr-neighbor": "advertise-long-lived-stale",
            ],
            short: .init(values: mode.values) { field, settings in
                guard let value = mode.read(field) else { return false }
                settings.mode = value
                return true
            }
        ) {
            Setting(
                "mode", \.mode, mode,
                "helper: a neighbor's routes outlive its restart; full: it is to keep ours, too; off: neither.")
            Setting(
                "restart-time", \.restartTime, .seconds(1...4095),
                "With mode full: how long the neighbor is to wait for the router (RFC 4724 §3).")
            Setting(
                "stale-routes-time", \.staleRoutesTime, .seconds(1...4095),
                "A neighbor's stale routes are kept no longer, whatever it asks for.")
            Setting(
                "advertise-long-lived-stale", \.advertisesStaleRoutes, .flag,
                "An internal neighbor without RFC 9494 gets such routes, with no-export and local preference 0 (§4.6).")
        }
    }

    private static var mode: Kind<GracefulRestartConfiguration.Mode> { .word }

    /// What concerns a neighbor as a whole.
    static func check(_ neighbor: NeighborConfiguration, _ fields: MappingReader, _ place: Field, isExternal: Bool) {
        if neighbor.gracefulRestart.mode == .off, neighbor.families.contains(where: { $0.longLivedStaleTime > 0 }) {
            (fields["families"] ?? place)
                .error("'long-lived-stale-time' needs graceful-restart: helper or full (RFC 9494 §4.1)")
        }
        guard let field = fields["graceful-restart"], field.isMapping else { return }
        if isExternal, field.at("advertise-long-lived-stale").scalar == "true" {
            field.at("advertise-long-lived-stale")
                .error("an external neighbor gets long-lived stale routes only if it speaks of them (RFC 9494 §4.6)")
        }
    }
}
