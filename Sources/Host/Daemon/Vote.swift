import Configuration
import Foundation
import Identity
import Records

/// The client of a vote, from a controller's file.
enum Vote {
    typealias Maker = @Sendable (VoteSink) throws -> any VoteClient

    /// Reads the files that the configuration names; the client itself is made where its answers are wanted.
    /// - Parameters:
    ///   - session: random for each start of this process.
    ///   - place: path of the controller's file.
    /// - Returns: `nil` if the arbiter is no vote elsewhere. The renewal reads the files again.
    static func maker(
        _ file: ControllerFile, session: UInt64, place: String
    ) throws -> (make: Maker, renewal: KeyKeeper.Renewal)? {
        guard !file.isAlone else { return nil }
        // 0 means none.
        let session = max(session, 1)
        switch file.arbiter {
        case .link, .leaseFile: return nil
        case .witness(let witness):
            let identity = Renewable(try client(witness, file))
            let settings = WitnessLink.Settings(
                address: "\(witness.address)", port: Int(witness.port), identity: identity, session: session, lease: witness.lease
            )
            return (
                { sink in try VoteThread { WitnessLink(settings, sink, $0) } },
                KeyKeeper.Renewal(name: "witness", place: place, files: .init(paths: witness.keyFiles)) {
                    let now =
                        if case .witness(let now) = try ConfigurationFiles.controller(place).0.arbiter { now } else { witness }
                    identity.renew(try client(now, file))
                    return .init(paths: now.keyFiles)
                }
            )
        case .etcd(let etcd):
            let cluster = try cluster(etcd)
            let access = Renewable(try EtcdAccess(cluster))
            let settings = EtcdLink.Settings(
                cluster: cluster, access: access, prefix: etcd.prefix, pair: file.pair, controller: file.controller,
                session: session, ttl: Int64(etcd.ttl))
            return (
                { sink in try VoteThread { try EtcdLink(settings, sink, $0) } },
                KeyKeeper.Renewal(name: "etcd", place: place, files: files(etcd)) {
                    let now = if case .etcd(let now) = try ConfigurationFiles.controller(place).0.arbiter { now } else { etcd }
                    access.renew(try EtcdAccess(try Self.cluster(now)))
                    return files(now)
                }
            )
        }
    }

    private static func files(_ etcd: EtcdVoteConfiguration) -> KeyKeeper.Files {
        .init(
            paths: [etcd.authority, etcd.certificate, etcd.privateKey, etcd.passwordFile].compactMap { $0 },
            certificates: [etcd.authority, etcd.certificate].compactMap { $0 })
    }

    private static func client(_ witness: WitnessVoteConfiguration, _ file: ControllerFile) throws -> WitnessIdentity.Client {
        try WitnessIdentity.Client(
            secrets: try witness.keyFiles.map(ConfigurationFiles.sharedKey), pair: file.pair, controller: "\(file.controller)")
    }

    private static func cluster(_ etcd: EtcdVoteConfiguration) throws -> EtcdCluster {
        var cluster = EtcdCluster(
            endpoints: etcd.endpoints, authority: etcd.authority, certificate: etcd.certificate,
            privateKey: etcd.privateKey, user: etcd.user)
        if let path = etcd.passwordFile {
            let text = String(decoding: try ConfigurationFiles.octets(path), as: UTF8.self)
            cluster.password = text.trimmingCharacters(in: .newlines)
        }
        return cluster
    }
}
