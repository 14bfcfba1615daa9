import Configuration
import Engine

/// The router configuration as the datastore or a file holds it.
enum RouterFile {
    struct Loaded {
        var configuration: RouterConfiguration
        var text: String
        var octets: [UInt8]
    }

    /// The router configuration of a file, or all of its problems.
    static func read(_ path: String) throws -> (Loaded, warnings: [String]) {
        let octets = try ConfigurationFiles.octets(path)
        let result = RouterText.read(octets, file: path)
        guard let value = result.value else {
            throw ConfigurationFiles.Refusal(description: result.problems.map(\.description).joined(separator: "\n"))
        }
        let loaded = Loaded(
            configuration: value, text: String(decoding: octets, as: UTF8.self), octets: try value.encoded())
        return (loaded, result.warnings.map(\.description))
    }
}

extension RouterFile {
    /// The text of an encoded configuration, in the one way of writing it.
    static func text(_ octets: [UInt8]) -> String {
        guard let configuration = try? RouterConfiguration(decoding: octets) else {
            return "# this release cannot read the configuration\n"
        }
        return RouterText.text(of: configuration)
    }
}
