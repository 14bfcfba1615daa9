/// The kinds of file.
public enum ConfigurationKind: Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// First, since a file that tells nothing is one.
    case router
    case controller
    case witness

    /// By the keys at the top: whichever kind knows most of them.
    public static func of(_ bytes: [UInt8]) -> ConfigurationKind {
        let problems = Problems(file: "")
        guard let tree = YAMLTree.parse(bytes, problems), case .mapping(let pairs) = tree.content else { return .router }
        var best = (kind: ConfigurationKind.router, count: -1)
        for kind in allCases {
            let keys = kind.keys
            let count = pairs.count { keys.contains($0.key) }
            if count > best.count { best = (kind, count) }
        }
        return best.kind
    }

    private var keys: [String] {
        switch self {
        case .router: RouterText.section.keys
        case .controller: ControllerSections(directory: "").file.keys
        case .witness: WitnessText.section("").keys
        }
    }

    public var description: String {
        switch self {
        case .router: "router configuration"
        case .controller: "controller file"
        case .witness: "witness file"
        }
    }

    /// All that is wrong with a file of this kind.
    /// - Parameter directory: where relative paths begin.
    public func problems(_ bytes: [UInt8], file: String, directory: String) -> [ConfigurationProblem] {
        switch self {
        case .router: RouterText.read(bytes, file: file).problems
        case .controller: ControllerText.read(bytes, file: file, directory: directory).problems
        case .witness: WitnessText.read(bytes, file: file, directory: directory).problems
        }
    }
}
