import Configuration
import Foundation
import Identity
import Records

/// The client of a vote, from a controller's file.
enum Vote {
    /// Reads the files that the configuration names; the client itself is made where its answers are wanted.
    /// - Parameter session: random for each start of this process.
    /// - Returns: `nil` if the arbiter is no vote elsewhere.
    static func maker(_ file: ControllerFile, session: UInt64) throws -> (@Sendable (VoteSink) throws -> any VoteClient)? {
        guard !file.isAlone else { return nil }
        // 0 means none.
        let session = max(session, 1)
        switch file.arbiter {
        case .link, .leaseFile: return nil
        case .witness(let witness):
            let settings = WitnessLink.Settings(
                address: "\(witness.address)", port: Int(witness.port),
                identity: try WitnessIdentity.Client(
                    secret: try ConfigurationFiles.sharedKey(witness.keyFile), pair: file.pair,
                    controller: "\(file.controller)"),
                session: session, lease: witness.lease)
            return { sink in try VoteThread { try WitnessLink(settings, sink, $0) } }
        case .etcd(let etcd):
            var cluster = EtcdCluster(
                endpoints: etcd.endpoints, authority: etcd.authority, certificate: etcd.certificate,
                privateKey: etcd.privateKey, user: etcd.user)
            if let path = etcd.passwordFile {
                let text = String(decoding: try ConfigurationFiles.octets(path), as: UTF8.self)
                cluster.password = text.trimmingCharacters(in: .newlines)
            }
            let settings = EtcdLink.Settings(
                cluster: cluster, prefix: etcd.prefix, pair: file.pair, controller: file.controller, session: session,
                ttl: Int64(etcd.ttl))
            return { sink in try VoteThread { try EtcdLink(settings, sink, $0) } }
        }
    }
}
