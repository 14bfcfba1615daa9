import Configuration
import Datastore
import Engine
import Records

/// With which configuration a controller begins.
///
/// What the datastore marks was in force last. The router file is for the very first start and for nothing else: used at
/// any other time it would undo, here and by way of the twin there, what operators were told is in force. So a controller
/// that cannot know what was in force begins with nothing and waits for its twin, or for an operator.
enum FirstConfiguration {
    /// Nothing is configured yet.
    case none
    /// Was in force last.
    case stored(ConfigurationRevision, RouterConfiguration)
    /// The router file: it comes into force under this number.
    case file(number: UInt64, RouterFile.Loaded, path: String)
    /// There was one and it cannot be read; the text says why.
    case lost(String)

    /// - Parameters:
    ///   - newest: the greatest number that the datastore holds.
    ///   - acceptsFile: an operator takes the router file, whatever was in force.
    ///   - read: reads the router file.
    static func choose(
        _ stored: StoredConfiguration, newest: UInt64, routerFile: String?, acceptsFile: Bool,
        read: (String) throws -> RouterFile.Loaded
    ) throws -> FirstConfiguration {
        var reason: String?
        switch stored {
        case .never: break
        case .inForce(let revision):
            do {
                let decoded = try RouterConfiguration(decoding: revision.octets)
                return .stored(revision, decoded)
            } catch {
                reason = "revision \(revision.number), which was in force last, cannot be read by this release: \(error)"
            }
        case .lost(let why): reason = why
        }
        if let reason, !acceptsFile { return .lost(reason) }
        guard let routerFile else { return reason.map { .lost($0) } ?? .none }
        return .file(number: newest + 1, try read(routerFile), path: routerFile)
    }

    var router: RouterConfiguration? {
        switch self {
        case .none, .lost: nil
        case .stored(_, let configuration): configuration
        case .file(_, let loaded, _): loaded.configuration
        }
    }
    var isLost: Bool { if case .lost = self { true } else { false } }

    /// What the controller begins with.
    var initial: (revision: UInt64, bytes: [UInt8])? {
        switch self {
        case .none, .lost: nil
        case .stored(let revision, _): (revision.number, revision.octets)
        case .file(let number, let loaded, _): (number, loaded.octets)
        }
    }
    /// When that was in force; the router file never was.
    var position: ConfigurationPosition {
        if case .stored(let revision, _) = self { revision.position } else { .none }
    }

    /// What an operator must know and can do, if the configuration is lost.
    static func advice(_ reason: String, isAlone: Bool, routerFile: String?) -> String {
        let file = routerFile ?? "FILE"
        let waits =
            isAlone
            ? "This router begins without a configuration."
            : "This controller has no configuration of its own: it waits for its twin's, and does not become active before it has one."
        return "the router configuration that was in force last cannot be read: \(reason). \(waits) "
            + "The router file is not used in its place, because it may be older. "
            + (isAlone ? "" : "If the twin has lost its own, too: ")
            + "say 'lockstepctl config apply \(file)' here, or start lockstepd once with --accept-first-configuration"
    }
}
