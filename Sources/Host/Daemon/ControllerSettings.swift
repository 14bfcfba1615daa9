import CHost
import Configuration
import Controller
import Crypto
import Foundation
import Machine
import Records
import Redundancy

/// What the sans-IO controller is told, made from the controller's file.
typealias ControllerSettings = ControllerConfiguration

extension ControllerSettings {
    /// - Parameters:
    ///   - secret: the shared key, the authority's certificate, or nothing: what both controllers have and others do not.
    static func make(
        _ file: ControllerFile, secret: [UInt8], memory: PairMemory, lastEpoch: Epoch, wasActive: Bool,
        first: FirstConfiguration, acceptsFirst: Bool, testing: Bool
    ) -> ControllerSettings {
        var random = SystemRandomNumberGenerator()
        let pair = derive(secret, file.pair, "pair")
        var settings = ControllerSettings(
            id: file.controller, routerName: file.pair, pairID: pair.high, bootNonce: random.next(), randomSeed: random.next())
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

    private static func derive(_ secret: [UInt8], _ pair: String, _ purpose: String) -> (high: UInt64, low: UInt64) {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), salt: Array(pair.utf8), info: Array("lockstep \(purpose)".utf8),
            outputByteCount: 16)
        return unsafe key.withUnsafeBytes { bytes in
            (unsafe bytes.loadUnaligned(as: UInt64.self), unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }
}
