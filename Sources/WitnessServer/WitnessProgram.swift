import Configuration
import Foundation
import Identity
import Witness

/// One `lockstep-witness`: reads its files, serves until a signal.
public enum WitnessProgram {
    public enum ExitCode {
        public static let configuration: Int32 = 2
        /// The address, or the file that must not be forgotten.
        public static let start: Int32 = 4
        /// The file could not be written while running.
        public static let store: Int32 = 5
    }

    /// Octets of a configuration that is read at all.
    private static let lengthMaximum = 1 << 20

    struct Refusal: Error, CustomStringConvertible {
        let description: String
    }

    static func settings(_ path: String) throws -> (WitnessFile, WitnessServer.Settings, warnings: [String]) {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw Refusal(description: "\(path): cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { try? handle.close() }
        let data = try handle.read(upToCount: lengthMaximum + 1) ?? Data()
        guard data.count <= lengthMaximum else {
            throw Refusal(description: "\(path): more than \(lengthMaximum >> 20) MiB is no configuration")
        }
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let result = WitnessText.read(Array(data), file: path, directory: directory)
        guard let file = result.value else {
            throw Refusal(description: result.problems.map(\.description).joined(separator: "\n"))
        }
        let pairs = try file.pairs.map { pair in
            do {
                return WitnessIdentity.Server.Pair(name: pair.name, secrets: try pair.keyFiles.map(SharedKey.read))
            } catch {
                throw Refusal(description: "\(path): pairs.\(pair.name).key-file: \(error)")
            }
        }
        // Equal keys of two pairs would still give different key pairs, but whoever has one then has both.
        var owners: [[UInt8]: String] = [:]
        var warnings = result.warnings.map(\.description)
        for pair in pairs {
            for secret in pair.secrets {
                if let other = owners[secret] {
                    warnings.append("\(path): pairs.\(pair.name): has the same key as \(other); give each pair its own")
                }
                owners[secret] = pair.name
            }
        }
        let settings = WitnessServer.Settings(
            address: "\(file.listen)", port: Int(file.port), store: file.store, pairs: pairs, leaseMaximum: file.leaseMaximum)
        return (file, settings, warnings)
    }

    /// Checks the configuration and says what is wrong. Returns the exit code.
    public static func check(_ path: String) -> Int32 {
        do {
            let (_, _, warnings) = try settings(path)
            for warning in warnings { complain(warning) }
            print("\(path): accepted")
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.configuration
        }
    }

    /// Runs until SIGTERM or SIGINT. Call it on the main thread, before any other thread exists.
    public static func run(_ path: String) -> Int32 {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)

        let settings: WitnessServer.Settings
        let level: ControllerFile.LogLevel
        do {
            let (file, value, warnings) = try Self.settings(path)
            for warning in warnings { complain(warning) }
            (settings, level) = (value, file.logLevel)
        } catch {
            complain("\(error)")
            return ExitCode.configuration
        }
        do {
            let server = try WitnessServer(settings) { note in
                switch note {
                case .info(let text): if level == .debug || level == .info { complain(text) }
                case .warning(let text): if level != .error { complain(text) }
                case .fatal(let text):
                    // A started process reads what is on the disk; this one does not know it any more.
                    complain("the process ends, because its file cannot be written: \(text)")
                    _exit(ExitCode.store)
                }
            }
            var number: Int32 = 0
            while true {
                sigwait(&signals, &number)
                guard number == SIGHUP else { break }
                readKeys(path, server)
            }
            server.stop()
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.start
        }
    }

    /// Keys may change under a running witness; whatever else stands in its file is read at its start.
    private static func readKeys(_ path: String, _ server: WitnessServer) {
        do {
            let (_, settings, warnings) = try Self.settings(path)
            for warning in warnings { complain(warning) }
            try server.renew(settings.pairs)
            complain("the keys were read again")
        } catch {
            complain("the keys stay as they are: \(error)")
        }
    }

    private static func complain(_ text: String) {
        for line in text.split(separator: "\n") {
            FileHandle.standardError.write(Data("lockstep-witness: \(line)\n".utf8))
        }
    }
}
