// swift-tools-version: 6.2
import Foundation
import PackageDescription

// The pure core (everything up to the simulator) has no dependency at all. LOCKSTEP_CORE=1 leaves the rest out,
// so that a protocol engine can be built and tested in seconds. LOCKSTEP_TESTS="BGPTests EngineTests" leaves all other
// tests out of the one bundle that SwiftPM links.
let environment = ProcessInfo.processInfo.environment
let coreOnly = environment["LOCKSTEP_CORE"] == "1"

// LOCKSTEP_STRICT=1 takes warnings for errors: for whoever changes the code. Another compiler may warn of other things, which is
// no reason to build nothing.
let settings: [SwiftSetting] =
    [
        .enableExperimentalFeature("Lifetimes"),
        .enableUpcomingFeature("ExistentialAny"),
    ] + (environment["LOCKSTEP_STRICT"] == "1" ? [.treatAllWarnings(as: .error)] : [])

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}
/// Tests whose steps are texts in their folder `Recorded`.
func recordedTests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["RecordedSteps"], exclude: ["Recorded"], swiftSettings: settings)
}

let floor: [Target.Dependency] = ["Wire", "Machine", "Records"]

// Arrows point down only; Tests/HouseTests reads this list and the sources and fails on any other arrow.
var targets: [Target] = [
    // floor
    library("Wire"),
    library("Machine", ["Wire"]),
    library("Records", ["Machine", "Wire"]),
    // shared by protocols
    library("Policy", floor),
    library("Routing", floor + ["Policy"]),
    library("Digests", floor),
    library("SPF", floor),
    // protocols: none knows another
    library("TCP", floor + ["Digests"]),
    library("BGP", floor + ["Policy", "Routing"]),
    library("OSPF", floor + ["Routing", "SPF", "Digests"]),
    library("ISIS", floor + ["Policy", "Routing", "SPF", "Digests"]),
    library("RIP", floor + ["Routing", "Digests"]),
    library("BFD", floor + ["Digests"]),
    library("RTR", floor + ["Policy", "Routing"]),
    // parts: none knows another
    library("Engine", floor + ["Policy", "Routing", "TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR"]),
    library("LineCard", floor + ["TCP", "BFD"]),
    library("Redundancy", floor),
    // a third vote, without I/O
    library("Witness", floor + ["Redundancy"]),
    // one box
    library("Controller", floor + ["Engine", "LineCard", "Redundancy", "Routing"]),
    // a world: virtual time
    library(
        "Simulator",
        floor + [
            "Controller", "Engine", "LineCard", "Redundancy", "Witness", "TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "Policy",
            "Routing",
        ]),
    program("simulate", ["Simulator", "Redundancy"]),

    // What a test recorded, and compares with.
    .target(
        name: "RecordedSteps", dependencies: ["Machine", "Records", "Routing"], path: "Tests/RecordedSteps",
        swiftSettings: settings),
    tests("RecordedStepsTests", ["Machine", "RecordedSteps"]),
    tests("WireTests", ["Wire"]),
    tests("MachineTests", ["Machine", "Wire"]),
    tests("RecordsTests", floor),
    recordedTests("TCPTests", floor + ["TCP"]),
    tests("PolicyTests", floor + ["Policy"]),
    tests("RoutingTests", floor + ["Policy", "Routing"]),
    tests("LineCardTests", floor + ["LineCard", "TCP", "BFD"]),
    tests(
        "SimulatorTests",
        floor + [
            "Simulator", "Controller", "Engine", "LineCard", "Redundancy", "TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "Routing",
        ]),
    recordedTests("EngineTests", floor + ["Engine", "Policy", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR", "Routing", "SPF"]),
    tests("RedundancyTests", floor + ["Redundancy"]),
    tests("WitnessTests", floor + ["Redundancy", "Witness"]),
    tests("ControllerTests", floor + ["Controller", "Engine", "LineCard", "Redundancy"]),
    tests("HouseTests", []),
    recordedTests("BGPTests", floor + ["BGP", "Policy", "Routing"]),
    tests("DigestsTests", floor + ["Digests"]),
    tests("SPFTests", floor + ["SPF"]),
    recordedTests("OSPFTests", floor + ["OSPF", "Routing", "SPF", "Digests"]),
    recordedTests("ISISTests", floor + ["ISIS", "Policy", "Routing", "SPF", "Digests"]),
    recordedTests("RIPTests", floor + ["RIP", "Routing", "Digests"]),
    recordedTests("BFDTests", floor + ["BFD", "Digests"]),
    tests("RTRTests", floor + ["RTR", "Policy", "Routing"]),
]

var dependencies: [Package.Dependency] = []
var products: [Product] = [.executable(name: "simulate", targets: ["simulate"])]

if !coreOnly {
    dependencies = [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.20.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ]
    targets += [
        // text
        library(
            "Configuration",
            floor + [
                "Engine", "BGP", "RTR", "OSPF", "ISIS", "RIP", "BFD", "Policy", "Routing", "SPF",
                .product(name: "Yams", package: "Yams"),
            ]),
        // other programs' configurations as router files
        library("Conversion", ["Wire"]),
        library("Management", floor + ["BGP", "RTR", "OSPF", "ISIS", "RIP", "BFD", "Routing"]),
        // who is at the other end of a connection
        library(
            "Identity",
            [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        // a part with a disk
        library("Datastore", floor + [.product(name: "GRDB", package: "GRDB.swift")]),
        // a world: the real one
        .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
        .target(name: "CHost"),
        library(
            "Host",
            floor + [
                "Controller", "Engine", "LineCard", "Redundancy", "Configuration", "Management", "Datastore", "CPcap", "CHost",
                "Witness", "Identity",
                "BGP", "RTR", "OSPF", "ISIS", "RIP", "BFD", "Policy", "Routing", "TCP",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        // a world of its own: the third host
        library(
            "WitnessServer",
            floor + [
                "Witness", "Redundancy", "Configuration", "Identity", "CHost",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ]),
        program(
            "lockstep-witness",
            [
                "WitnessServer", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        tests(
            "HostTests",
            floor + [
                "Host", "CHost", "Controller", "Engine", "Datastore", "Redundancy", "Configuration", "Management", "Routing",
                "Identity", "Witness", "WitnessServer", "CPcap",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        program("lockstepd", ["Host", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        program(
            "lockstepctl",
            [
                "Management", "Configuration", "Conversion",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        program(
            "bench",
            floor + [
                "BGP", "OSPF", "ISIS", "Engine", "TCP", "Policy", "Routing", "Controller", "Host",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        tests(
            "ConfigurationTests",
            floor + ["Configuration", "Engine", "BGP", "RTR", "OSPF", "ISIS", "RIP", "BFD", "Policy", "Routing"]),
        .testTarget(
            name: "ConversionTests", dependencies: ["Conversion", "Configuration"], exclude: ["Samples"],
            swiftSettings: settings),
        // A disk whose power can be cut.
        .target(name: "CPowerCut", path: "Tests/CPowerCut", linkerSettings: [.linkedLibrary("sqlite3")]),
        tests("DatastoreTests", floor + ["Datastore", "CPowerCut", .product(name: "GRDB", package: "GRDB.swift")]),
        tests("ManagementTests", floor + ["Management", "BGP", "RTR", "OSPF", "ISIS", "RIP", "BFD", "Routing"]),
    ]
    products += [
        .executable(name: "lockstepd", targets: ["lockstepd"]),
        .executable(name: "lockstepctl", targets: ["lockstepctl"]),
        .executable(name: "lockstep-witness", targets: ["lockstep-witness"]),
        .executable(name: "bench", targets: ["bench"]),
    ]
}

if let wanted = environment["LOCKSTEP_TESTS"] {
    let names = wanted.split(separator: " ").map(String.init)
    targets.removeAll { $0.type == .test && !names.contains($0.name) }
}

let package = Package(name: "Lockstep", products: products, dependencies: dependencies, targets: targets)
