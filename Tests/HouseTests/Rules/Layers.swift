/// The target graph, and who may import whom.
enum Layers {
    /// Layers from the floor up. An import may only point to an earlier layer; within a layer none knows another,
    /// except on the floor, whose rooms are stacked in the order given.
    static let layers: [[String]] = [
        ["Wire"], ["Machine"], ["Records"],
        ["Policy"], ["Routing", "SPF", "Digests"],
        ["TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR"],
        ["Engine", "LineCard", "Redundancy", "Datastore"],
        ["Controller", "Witness"],
        ["Configuration", "Conversion", "Management", "Identity", "CHost", "CPcap"],
        ["Host", "WitnessServer", "Simulator"],
        ["lockstepd", "lockstepctl", "lockstep-witness", "simulate", "bench"],
    ]

    static let rules = [
        Rule(
            name: "every target has a place in the graph", findings: places,
            planted: ["Sources/Attic/Box.swift": "struct Box {}"], count: 1),
        Rule(
            name: "arrows only point down", findings: arrows,
            planted: [
                "Sources/Wire/A.swift": "import Machine", "Sources/BGP/B.swift": "internal import OSPF",
                "Sources/Machine/C.swift": "@_exported public import struct Records.LogIndex",
                "Sources/Engine/D.swift": "fileprivate import class Host.Edge",
                "Sources/Engine/E.swift": "@testable package import Controller\nimport BGP",
            ], count: 5),
        Rule(
            name: "what is deterministic imports nothing that could do I/O", findings: purity,
            planted: ["Sources/Wire/A.swift": "package import Foundation", "Sources/TCP/B.swift": "import Glibc"], count: 2),
    ]

    private static func places(_ house: House) -> [String] {
        let known = Set(layers.joined())
        return Set(house.sources.map(\.target)).sorted().filter { !known.contains($0) }
            .map { "\($0) has no place in the target graph: say in Layers.swift where it belongs" }
    }

    private static func arrows(_ house: House) -> [String] {
        var height: [String: Int] = [:]
        for (level, names) in layers.enumerated() { for name in names { height[name] = level } }
        return house.sources.flatMap { source in
            imports(of: source).compactMap { line, module in
                guard let target = height[source.target], let imported = height[module], imported >= target else { return nil }
                return "\(source.path):\(line): \(source.target) must not know \(module)"
            }
        }
    }

    private static func purity(_ house: House) -> [String] {
        let allowed = Set(Determinism.targets)
        return house.sources(of: Determinism.targets).flatMap { source in
            imports(of: source).filter { !allowed.contains($0.module) }
                .map { "\(source.path):\($0.line): \(source.target) must not import \($0.module)" }
        }
    }

    /// Whatever stands before `import`.
    static func imports(of source: House.Source) -> [(line: Int, module: String)] {
        source.lines.enumerated().compactMap { number, line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let at = words.firstIndex(of: "import"), at + 1 < words.count else { return nil }
            let before: Set<Substring> = ["public", "package", "internal", "fileprivate", "private", "unsafe"]
            guard words[..<at].allSatisfy({ $0.hasPrefix("@") || before.contains($0) }) else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let", "actor"]
            let name = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
            return (number + 1, String(name.prefix { $0 != "." }))
        }
    }
}
