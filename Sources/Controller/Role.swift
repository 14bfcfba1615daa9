import Machine
import Records
import Redundancy

/// What a controller is doing about being the router, with what it has for that alone.
///
/// What lives on through a change of role stands beside it in `Controller`, and so does the log that whoever is not a standby
/// writes (`ActiveLog`): every record touches it, and a payload is not changed in place.
enum Role {
    case standby(Standby)
    /// Mastership is ours; the engine is being asked for the line card's image.
    case takingOver
    case active(Active)

    struct Standby {
        /// The record that killed the twin, by its gasp, and which message in it, from 1; 0 if that is not known.
        var fatal: (index: LogIndex, message: UInt16)?
        /// The twin is dead, and either records wait that a gasp may still name, or a gasp names one that is still to come.
        var gaspUntil: (at: Instant, reason: String)?
        /// A take-over that was granted while the engine was still restoring.
        var deferredGrant: (epoch: Epoch, mayResume: Bool, reason: String)?
        /// Since when a bulk update that was asked for has not begun.
        var askedAt: Instant?
        /// From which beat on the active says what it said of our copy last.
        var inSyncFrom: UInt64 = 0
        /// The epoch in which the active shipped the newest records.
        var recordEpoch = Epoch.zero
    }

    /// Without references: it is looked at with every frame.
    struct Active: BitwiseCopyable {
        let since: Instant
        /// 1108: what an operator wants changed must wait.
        var isBlocked = false
        /// 1116: frames are for the next active.
        var isReadingStopped = false
        /// Mastership is given up whatever the twin says.
        var isForced = false

        init(since: Instant) { self.since = since }

        /// Nothing new is begun.
        var isSwitching: Bool { isBlocked || isReadingStopped }
    }

    var isStandby: Bool { if case .standby = self { true } else { false } }
    var isTakingOver: Bool { if case .takingOver = self { true } else { false } }
    var isActive: Bool { if case .active = self { true } else { false } }
    /// This controller is the router and does not hand over.
    var isReading: Bool { if case .active(let active) = self { !active.isReadingStopped } else { false } }

    /// What is set of another role than this one is of no interest any more.
    var standby: Standby? {
        get { if case .standby(let standby) = self { standby } else { nil } }
        set { if case .standby = self, let newValue { self = .standby(newValue) } }
    }
    var active: Active? {
        get { if case .active(let active) = self { active } else { nil } }
        set { if case .active = self, let newValue { self = .active(newValue) } }
    }
}
