import Engine
import Machine
import Records
import Redundancy

// Which configuration was in force last, and what the datastores of both controllers are told of it (FIG. 14).

extension Controller {
    mutating func beginConfiguration() {
        inForce = configuration.initialPosition
        if inForce == .none, let first = configuration.initialConfiguration { inForce.revision = first.revision }
        mastership.isWithheld = configuration.hasLostConfiguration && !configuration.isSingle
    }

    /// The datastore has this configuration as the one that is in force on the active. A bulk update brings the engine's
    /// state and not where its configuration stands in the log; the active's datastore says so to ours.
    public mutating func learnedConfiguration(_ position: ConfigurationPosition) {
        guard role.isStandby else { return }
        inForce = position
    }

    /// The greatest revision number that is known here: the next one is greater.
    public var newestRevision: UInt64 {
        max(inForce.revision, log?.newestRevision ?? 0, channel.twin?.configuration.revision ?? 0)
    }

    /// Says which of the active's own configurations are in force now. An engine that dies of one never says it, so that
    /// this controller does not begin with it again; and an operator is not told before both have it.
    mutating func announceConfigurations(into outputs: inout [ControllerOutput]) {
        while let first = log?.takeConfiguration(applied: engine.applied) {
            inForce = first.position
            outputs.append(.configured(first.position, first.octets))
        }
    }

    /// The same for records of the active that are applied here.
    mutating func announceConfigurations(in records: [Record], into outputs: inout [ControllerOutput]) {
        for record in records {
            guard case .configure(let revision, let octets) = record.body.carried else { continue }
            inForce = ConfigurationPosition(epoch: role.standby?.recordEpoch ?? .zero, index: record.index, revision: revision)
            outputs.append(.configured(inForce, octets))
        }
    }

    /// A bulk update is restored: the copy has the active's configuration in it, and this controller need not wait for
    /// one any more.
    mutating func gotConfiguration(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard mastership.isWithheld else { return }
        mastership.isWithheld = false
        // The active may have died while the restore was under way.
        guard channel.isClosed, case .waiting = mastership.stage else { return }
        master(at: now, into: &outputs) {
            $0.acquire("the twin is lost, and the copy of its state is complete", isResuming: true, into: &$1)
        }
    }

    // MARK: what the twin has

    /// The twin introduced itself: is what it holds newer than what we would begin with, or have in force?
    mutating func judgeConfiguration(of twin: Hello, into outputs: inout [ControllerOutput]) {
        if role.isActive {
            // We began before it was there, with something older than what it has. That ours counts as later now is only
            // because we began with it.
            let isPassedOver =
                began.map { twin.configuration < $0 && twin.configuration > configuration.initialPosition } ?? false
            guard isPassedOver || twin.configuration > inForce, twin.configuration.epoch > .zero else { return }
            // The live router is not changed behind the operator's back; what the twin holds is not lost either.
            note(
                .alarm, "datastore",
                "controller \(twin.controller) has \(twin.configuration), which was in force later than what this controller began "
                    + "with, \(configuration.initialPosition). The router goes on with what it has; on controller \(twin.controller) see 'lockstepctl config "
                    + "history' and 'config diff', and put back what is missing with 'config rollback' or 'config apply'",
                into: &outputs)
        } else if twin.hasLostConfiguration, role.isStandby, inForce.epoch == .zero, configuration.initialConfiguration != nil,
            !configuration.acceptsFirstConfiguration
        {
            // Ours is the file of a first start; the twin knows that there was a later configuration, though not which.
            configuration.initialConfiguration = nil
            inForce = .none
            mastership.isWithheld = true
            note(
                .alarm, "datastore",
                "controller \(twin.controller) had a configuration and cannot read it, and this one never had any: the router file "
                    + "of a first start is not used. Say 'lockstepctl config apply FILE' on one of the two",
                into: &outputs)
        }
    }

    // MARK: the operator

    /// Nobody is the router, and this controller waits because it lost its configuration.
    var canBeginWithOperatorsConfiguration: Bool {
        role.isStandby && mastership.isWithheld && availability.isServing && mastership.holder != configuration.id.other
            && receiver.phase == .idle && !engine.isRestoring
    }

    /// The operator's configuration ends the wait.
    mutating func begin(
        with revision: UInt64, _ octets: [UInt8], at now: Instant, into outputs: inout [ControllerOutput]
    ) -> OperatorAnswer {
        configuration.initialConfiguration = (revision, octets)
        configuration.acceptsFirstConfiguration = true
        inForce = ConfigurationPosition(revision: revision)
        mastership.isWithheld = false
        master(at: now, into: &outputs) { $0.acquire("an operator gave a configuration", isResuming: false, into: &$1) }
        return .done("the router begins with revision \(revision)")
    }

    // MARK: persistent data (FIG. 14)

    /// Why a transaction is not mirrored while there is nobody to take it.
    public static let noTwin = "no twin is connected"

    mutating func mirror(_ transaction: UInt64, _ octets: [UInt8], into outputs: inout [ControllerOutput]) {
        if let why = channel.mirrorTrouble(octets: octets.count) {
            // No harm: a twin that joins asks for everything.
            outputs.append(.mirrorAnswered(transaction: transaction, refusal: why))
            return
        }
        channel.mirrorsUnderWay.append(octets.count)
        channel.send(.mirror(transaction: transaction, octets))
    }
}
