/// What must be the same on both controllers.
enum Determinism {
    /// No clock, no chance, no I/O, no hash order.
    static let targets = [
        "Wire", "Machine", "Records", "Policy", "Routing", "SPF", "Digests", "TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR",
        "Engine", "LineCard", "Redundancy", "Witness", "Controller", "Simulator",
    ]
    /// Integers only.
    static let integral = [
        "Machine", "Records", "Policy", "Routing", "SPF", "Digests", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR", "Engine",
    ]

    static let rules = [
        Rule(
            name: "no clock and no chance below the host", findings: chance,
            planted: [
                "Sources/TCP/A.swift": "let now = ContinuousClock.now\nlet coin = Bool.random()",
                "Sources/BGP/B.swift": "var clock: any Clock<Duration>\nlet n = Int.random(in: 0...1)\nlet h = x.hashValue",
            ], count: 5),
        Rule(
            name: "no floating point in the engine", findings: floats,
            planted: [
                "Sources/OSPF/A.swift": "func f() -> Double { 1 }\nlet a: [Float] = []\nlet b = Double(2)\nlet c = 1.5",
                "Sources/Engine/B.swift": "let text = \"1.5 Double\"  // Double 1.5\nlet range = 1...5",
            ], count: 4),
        Rule(
            name: "hashed collections are looked up but never walked",
            findings: { house in
                targets.flatMap { target in HashOrder.findings(in: house.sources.filter { $0.target == target }) }
            },
            planted: [
                "Sources/BGP/A.swift": """
                struct A {
                    var sessions: [PeerIndex: Session] = [:]
                    var seen = Set<Int>()
                    func f() { for (k, v) in sessions { use(k, v) } }
                    func g() { seen.forEach { use($0) } }
                    func h() -> [Session] { sessions.values.map { $0 } }
                    func ok() -> Session? { sessions[3] }
                    func p(_ names: Set<Int>) { for name in names { use(name) } }
                }
                """,
                "Sources/BGP/A+Views.swift": "extension A {\n    func i() { for x in seen { use(x) } }\n}",
                "Sources/BGP/Other.swift": "struct Other {\n    func i(seen: [Int]) { for x in seen { use(x) } }\n}",
            ], count: 5),
    ]

    private static func chance(_ house: House) -> [String] {
        let words =
            #/
            \b(?:(?:Continuous|Suspending|UTC)Clock|Clock<|Date\(\)|DispatchTime|clock_gettime|gettimeofday|SystemRandomNumberGenerator
            |arc4random|Hasher\(\)|ObjectIdentifier|Task\ \{|Task\.sleep|DispatchQueue|Thread\(|ProcessInfo|getenv)
            |\.random\(|\.randomElement\(|\.shuffled\(\)|\.shuffle\(\)|\.hashValue
            /#
        return House.places(of: words, in: house.sources(of: targets)) { "'\($0)' is not deterministic" }
    }

    private static func floats(_ house: House) -> [String] {
        // Codable demands the members for floating point of its coders; theirs refuse.
        let coders: Set<String> = ["Sources/Machine/BinaryEncoder.swift", "Sources/Machine/BinaryDecoder.swift"]
        let words = #/\b(?:Double|Float|Float16|Float32|Float64|Float80|CGFloat)\b|(?:^|[^\w.$])\d+\.\d/#
        return House.places(of: words, in: house.sources(of: integral).filter { !coders.contains($0.path) }) {
            "'\($0)' in an engine target"
        }
    }
}
