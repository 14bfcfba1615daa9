import CHost
import Configuration
import Controller
import Crypto
import Datastore
import Foundation
import Machine
import Records
import Redundancy

/// What the sans-IO controller is told, made from the controller's file.
typealias ControllerSettings = ControllerConfiguration

extension ControllerSettings {
    /// What passes between the two, the datastore's transactions with it.
    static let formats = Controller.schemas.with(.init("datastore", DatastoreTransaction.schemas))

    /// - Parameters:
    ///   - memory: what is kept of the pair.
    static func make(
        _ file: ControllerFile, memory: PairMemory, lastEpoch: Epoch, wasActive: Bool,
        first: FirstConfiguration, acceptsFirst: Bool, testing: Bool
    ) -> ControllerSettings {
        var random = SystemRandomNumberGenerator()
        var settings = ControllerSettings(
            id: file.controller, routerName: file.pair, pairID: pairID(file.pair), bootNonce: random.next(),
            randomSeed: random.next())
        settings.schemas = Self.formats
        settings.gaspToken = DyingGasp.Token(high: random.next(), low: random.next())
        settings.pairKey = memory.key
        settings.identity = memory.identity
        settings.isSingle = file.isAlone
        // The default is 100 on both; then the patent's slot number decides.
        settings.isPreferred = file.priority > 100 || (file.priority == 100 && file.controller == .a)
        if !file.isAlone {
            switch file.arbiter {
            case .link: settings.arbiter = .link
            case .leaseFile: settings.arbiter = .leasefile
            // A quarter of the lease: two renewals may fail before it runs out.
            case .witness(let witness):
                settings.arbiter = .witness
                settings.voteRenewInterval = witness.lease / 4
            case .etcd(let etcd):
                settings.arbiter = .etcd
                settings.voteRenewInterval = .seconds(Int(etcd.ttl)) / 4
            }
        }
        settings.testing = testing
        var day = timespec()
        clock_gettime(CLOCK_REALTIME, &day)
        settings.routerTimeStart = .nanoseconds(Int64(day.tv_sec) * 1_000_000_000 + Int64(day.tv_nsec) - chost_now())
        settings.lastEpoch = lastEpoch
        settings.wasActive = wasActive
        settings.initialConfiguration = first.initial
        settings.initialPosition = first.position
        settings.hasLostConfiguration = first.isLost
        settings.acceptsFirstConfiguration = acceptsFirst
        settings.quietInterfaces = Set(file.interfaces.filter { !$0.advertises }.map(\.name))
        settings.segmentCount = Set(file.interfaces.map(\.device)).count
        if let redundancy = file.redundancy {
            settings.heartbeatInterval = redundancy.heartbeatInterval
            settings.heartbeatsLostMaximum = Int(redundancy.heartbeatMultiplier)
            settings.standbyStallMaximum = redundancy.standbyTimeout
            settings.staleWait = redundancy.staleWait
        }
        return settings
    }

    /// A number for the pair's name. It proves nothing, which the channel's key and that of the beats do, and does not
    /// depend on either: both can be changed while the pair runs.
    private static func pairID(_ pair: String) -> UInt64 {
        SHA256.hash(data: Array("lockstep pair \(pair)".utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
