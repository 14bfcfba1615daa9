/// The two kinds of file.
public enum ConfigurationKind: Hashable, Sendable {
    case controller
    case router

    /// By the keys at the top: whichever kind knows more of them. A file that tells nothing is a router configuration.
    public static func of(_ bytes: [UInt8]) -> ConfigurationKind {
        let problems = Problems(file: "")
        guard let tree = YAMLTree.parse(bytes, problems), case .mapping(let pairs) = tree.content else { return .router }
        func count(_ keys: [String]) -> Int { pairs.count { keys.contains($0.key) } }
        return count(ControllerSections(directory: "").file.keys) > count(RouterText.section.keys) ? .controller : .router
    }
}
