import Foundation
import Wire

/// `show fib kernel`: how the kernel of this host follows the forwarding table.
public struct KernelFIBView: Hashable, Sendable, Codable {
    public struct Family: Hashable, Sendable, Codable {
        /// `ipv4`, `ipv6`
        public var family: String
        /// Routes that the engine wants.
        public var wanted: Int
        /// Routes that the kernel has.
        public var installed: Int
        /// Routes that wait for their turn.
        public var pending: Int
        /// Routes that the kernel refused or that somebody else took away: they are tried again.
        public var failed: Int
        public init(family: String, wanted: Int = 0, installed: Int = 0, pending: Int = 0, failed: Int = 0) {
            self.family = family
            self.wanted = wanted
            self.installed = installed
            self.pending = pending
            self.failed = failed
        }
    }
    public struct Device: Hashable, Sendable, Codable {
        public var interface: String
        public var device: String
        public var isUp: Bool
        public init(interface: String, device: String, isUp: Bool) {
            self.interface = interface
            self.device = device
            self.isUp = isUp
        }
    }
    /// The last time that the kernel's table was read and compared.
    public struct Stocktaking: Hashable, Sendable, Codable {
        public var time: Date
        public var reason: String
        public var duration: TimeSpan
        /// Routes that were different.
        public var differences: Int
        public init(time: Date, reason: String, duration: TimeSpan, differences: Int) {
            self.time = time
            self.reason = reason
            self.duration = duration
            self.differences = differences
        }
    }
    /// `kernel`, `memory`, `none`
    public var mode: String
    public var families: [Family]
    /// Groups of next hops: the table's, the kernel's, and the paths behind those.
    public var groups = 0
    public var groupsInstalled = 0
    public var paths = 0
    public var isGateOpen = false
    /// Why the gate cannot be switched.
    public var gateFailure: String?
    public var lastGateSwitch = TimeSpan(.zero)
    public var longestGateSwitch = TimeSpan(.zero)
    public var gateRepairs: UInt64 = 0
    public var devices: [Device] = []
    public var messages: UInt64 = 0
    public var batches: UInt64 = 0
    public var errors: UInt64 = 0
    public var lastError: String?
    public var foreignChanges: UInt64 = 0
    public var stocktakings: UInt64 = 0
    public var lastStocktaking: Stocktaking?

    public init(mode: String, families: [Family]) {
        self.mode = mode
        self.families = families
    }
}
