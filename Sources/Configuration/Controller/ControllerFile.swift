import Records
import Wire

/// What one controller is told about itself: its own file, read once at start. What the network sees is in the router
/// configuration, which is replicated; nothing here is.
public struct ControllerFile: Hashable, Sendable {
    /// Which device of this host carries an interface of the router.
    public struct InterfaceBinding: Hashable, Sendable {
        public var name: String
        public var device: String
        /// What kind of LAN it is: on an exchange's or a transit provider's nobody else's heartbeats are welcome.
        public var lan = LAN.private
        /// Whether the controllers may tell each other of themselves on it, in their own names. `nil`: as the LAN's kind has it.
        public var advertisesExplicitly: Bool?
        public var advertises: Bool { advertisesExplicitly ?? (lan == .private) }

        public enum LAN: String, Hashable, Sendable, CaseIterable { case `private`, exchange, transit }

        public init(name: String, device: String) {
            self.name = name
            self.device = device
        }
    }
    /// How the router's own addresses are kept from the host's forwarding (DESIGN §10).
    public enum Guard: String, Hashable, Sendable, CaseIterable {
        /// Refuse to start without the rule while `ip_forward=1`.
        case check
        /// Add the rule.
        case install
        case ignore
    }
    public enum LogLevel: String, Hashable, Sendable, CaseIterable {
        case debug, info, notice, warning, error
    }

    public var controller: ControllerID
    /// For people and logs.
    public var name: String
    /// Both controllers must say the same.
    public var pair: String
    /// 1…255. When both start at once the higher becomes active; controller a if they are equal.
    public var priority: UInt8 = 100
    /// In the order of the file.
    public var interfaces: [InterfaceBinding]
    /// `nil`: this controller is alone.
    public var redundancy: RedundancyConfiguration?
    public var arbiter = ArbiterConfiguration.link
    /// Path of the SQLite file.
    public var datastore: String
    /// Path of the Unix domain socket.
    public var managementSocket: String = "/run/lockstep/lockstep.sock"
    /// Path of the router configuration, for when the datastore holds none.
    public var routerConfiguration: String?
    /// An engine that works on one piece for longer is stuck. 20 ms…60 s.
    public var watchdog = Duration.milliseconds(500)
    public var `guard` = Guard.check
    public var logLevel = LogLevel.info
    public var forwarding = ForwardingConfiguration()
    /// Octets of the process at which an event warns, and at which it hands over.
    public var memoryWarning: UInt64?
    public var memoryLimit: UInt64?

    public init(
        controller: ControllerID, pair: String = "lockstep", interfaces: [InterfaceBinding],
        redundancy: RedundancyConfiguration?
    ) {
        self.controller = controller
        self.pair = pair
        self.name = "\(pair)-\(controller == .a ? "a" : "b")"
        self.interfaces = interfaces
        self.redundancy = redundancy
        datastore = "/var/lib/lockstep/\(name).sqlite"
    }

    public var isAlone: Bool { redundancy == nil }

    public func device(for interface: String) -> String? { interfaces.first { $0.name == interface }?.device }
}

/// What the kernel of this host does for the router.
public struct ForwardingConfiguration: Hashable, Sendable {
    public enum Mode: String, Hashable, Sendable, CaseIterable {
        /// The kernel forwards: devices with the virtual MAC, routes, the gate.
        case kernel
        /// The table is kept and shown, and the kernel left alone.
        case memory
        /// No table: a route server.
        case none
    }
    public var mode = Mode.memory
    /// The kernel's routing table, 1…4,294,967,295; 254 is main, where FRR and BIRD put their routes as well.
    public var table: UInt32 = 254
    /// What `ip route` shows as `proto`, 4…255.
    public var routeProtocol: UInt8 = 76
    /// Of every route, 1…; where another route has the same prefix the lower metric wins.
    public var metric: UInt32 = 20
    /// How long the kernel goes on forwarding when the daemon is dead, 40 ms…1 h. `nil`: 100 ms with a twin, alone
    /// until a daemon is started again.
    public var hold: Duration?
    /// How long routes of a life before are kept that nobody wants so far. 1 s…1 h
    public var staleTime = Duration.seconds(120)
    /// Leave devices and routes in the kernel when told to end.
    public var staysOnExit = false

    public init() {}
}

/// The channel to the twin.
public struct RedundancyConfiguration: Hashable, Sendable {
    /// Who may be the twin.
    public enum Security: Hashable, Sendable {
        /// TLS 1.3 with a shared key, from a file. While it is changed there are two: the first is presented, both are accepted.
        case sharedKey(files: [String])
        /// TLS 1.3 with certificates on both sides. `peerName`: a name that the twin's certificate must hold.
        case certificates(certificate: String, privateKey: String, authority: String, peerName: String?)
        /// Plain. Anybody on the link can be the twin.
        case insecure
    }
    public var local: IPAddress
    public var peer: IPAddress
    /// TCP. Controller a listens, controller b connects.
    public var port: UInt16 = 7179
    /// UDP, heartbeats and the dying gasp.
    public var gaspPort: UInt16 = 7180
    public var security: Security
    /// 1 ms…1 s
    public var heartbeatInterval = Duration.milliseconds(10)
    /// So many intervals without a heartbeat mean that the twin is dead. 2…255
    public var heartbeatMultiplier: UInt8 = 5
    /// How long the active waits for the standby before it goes on alone. 10 ms…10 s
    public var standbyTimeout = Duration.milliseconds(250)
    /// How long a controller that could only start the router anew leaves it to a silent twin. 500 ms…10 min
    public var staleWait = Duration.seconds(3)

    public init(local: IPAddress, peer: IPAddress, security: Security) {
        self.local = local
        self.peer = peer
        self.security = security
    }
}

/// Who decides which controller may speak as the router (DESIGN §8).
public enum ArbiterConfiguration: Hashable, Sendable {
    /// The pair itself. It cannot be both safe and live in every partition.
    case link
    /// A locked and mapped file that both controllers of one machine see. 10 ms…10 s
    case leaseFile(path: String, lease: Duration)
    /// A `lockstep-witness` on a third host.
    case witness(WitnessVoteConfiguration)
    /// An etcd cluster.
    case etcd(EtcdVoteConfiguration)
}

/// A witness as a controller sees it.
public struct WitnessVoteConfiguration: Hashable, Sendable {
    public var address: IPAddress
    /// TCP
    public var port: UInt16 = 7181
    /// Path of the secret that this pair shares with the witness; of two while it is changed.
    public var keyFiles: [String]
    /// How long the holder may speak without having asked again. 100 ms…60 s
    public var lease = Duration.seconds(2)

    public init(address: IPAddress, keyFiles: [String]) {
        self.address = address
        self.keyFiles = keyFiles
    }
}

/// An etcd cluster as a controller sees it.
public struct EtcdVoteConfiguration: Hashable, Sendable {
    /// `http://…:2379` or `https://…:2379`, without a path. One to nine.
    public var endpoints: [String]
    /// What the pair's keys begin with; without a slash at its end.
    public var prefix = "/lockstep"
    /// Whole seconds, 2…60: how long the holder may speak without having asked again.
    public var ttl: UInt16 = 5
    /// Path of the authority that signed the members' certificates. `nil`: the host's own ones.
    public var authority: String?
    /// Paths of our certificate and key.
    public var certificate: String?
    public var privateKey: String?
    public var user: String?
    /// Path of the user's password.
    public var passwordFile: String?

    public init(endpoints: [String]) { self.endpoints = endpoints }
}
