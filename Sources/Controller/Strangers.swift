import Machine
import Records

/// Somebody whom we do not know and who speaks with the router's address.
struct Strangers {
    /// Frames from the router's own address that neither controller sent.
    var frames: UInt64 = 0
    /// When one was heard, and on which interface.
    var newest: (interface: InterfaceID, at: Instant)?
    static let memory: Duration = .seconds(3)
    /// When the segments are asked next whether somebody is the router.
    var probeAt: Instant = .zero
    static let probeInterval: Duration = .milliseconds(500)

    /// Where one is near.
    func interface(at now: Instant) -> InterfaceID? {
        guard let newest, now < newest.at + Self.memory else { return nil }
        return newest.interface
    }
}
