/// The two kinds of file.
public enum ConfigurationKind: Hashable, Sendable {
    case controller
    case router

    /// By the keys at the top: whichever kind knows more of them. A file that tells nothing is a router configuration.
    public static func of(_ bytes: [UInt8]) -> ConfigurationKind {
        let problems = Problems(file: "")
        guard let tree = YAMLTree.parse(bytes, problems), case .mapping(let pairs) = tree.content else { return .router }
        let controller = pairs.count { ControllerText.keys.contains($0.key) }
        let router = pairs.count { RouterText.keys.contains($0.key) }
        return controller > router ? .controller : .router
    }
}
