import Wire

/// What a witness is told: its own file, read at start; keys are read again on SIGHUP.
public struct WitnessFile: Hashable, Sendable {
    public struct Pair: Hashable, Sendable {
        /// The `pair` of its controllers' files.
        public var name: String
        /// Path of the file with the secret that the witness shares with this pair's controllers; of two while it is changed.
        public var keyFiles: [String]
        public init(name: String, keyFiles: [String]) {
            self.name = name
            self.keyFiles = keyFiles
        }
    }

    public var listen: IPAddress
    /// TCP
    public var port: UInt16 = 7181
    /// Path of the file that holds what must not be forgotten.
    public var store = "/var/lib/lockstep/witness"
    /// The longest lease that a controller may ask for. After the file was lost nothing is granted for a little longer.
    /// 100 ms…60 s
    public var leaseMaximum = Duration.seconds(10)
    /// In the order of the file.
    public var pairs: [Pair]
    public var logLevel = ControllerFile.LogLevel.info

    public init(listen: IPAddress, pairs: [Pair]) {
        self.listen = listen
        self.pairs = pairs
    }
}
