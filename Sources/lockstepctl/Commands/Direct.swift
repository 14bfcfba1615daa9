import ArgumentParser
import Foundation
import Management

struct Switchover: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "switchover",
        discussion: "Sessions go on. If the standby is not ready the order is refused and nothing changes.")
    @Option(help: "A line for the event log.") var reason = ""
    @Flag(help: "Even if the standby is not ready: sessions that it cannot resume start anew.") var force = false
    @OptionGroup var form: JSONFlag

    func run() throws {
        let result = try Connection.ask(.switchover(SwitchoverOrder(reason: reason, force: force)), timeout: .seconds(60)) {
            result in
            if case .step(let step) = result, !form.json { sayNow(step.line) }
        }
        guard case .switchover(let view) = result else { throw unexpected() }
        try form.show(view, [view.headline])
        if !view.isDone { throw Silent(status: Status.failed) }
    }
}

struct Clear: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear", abstract: "Start something anew.",
        subcommands: [
            ClearBGPCommand.self, ClearOSPF.self, ClearOSPFv3.self, ClearISIS.self, ClearRIP.self, ClearRIPng.self,
            ClearBFD.self, ClearRPKI.self,
        ])
}

struct ClearBGPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(of: "clear bgp")
    @Argument(help: "Address of the neighbor, or * for all.") var neighbor: String
    @Argument(help: ArgumentHelp("The words soft, soft in or soft out: keep the session.", valueName: "soft [in|out]"))
    var words: [String] = []
    @Option(help: "Text for the neighbor (RFC 9003), with a reset.") var message = ""

    private var mode: ClearBGP.Mode? {
        switch words {
        case []: .hard
        case ["soft"]: .soft
        case ["soft", "in"], ["in"]: .softIn
        case ["soft", "out"], ["out"]: .softOut
        default: nil
        }
    }
    func validate() throws {
        if mode == nil {
            throw ValidationError("'\(words.joined(separator: " "))' is not expected here; write soft, soft in or soft out")
        }
        if message.utf8.count > 255 { throw ValidationError("--message has at most 255 octets (RFC 9003)") }
    }
    func run() throws {
        guard let mode else { return }
        try obey(.clearBGP(ClearBGP(address: neighbor, mode: mode, message: message)))
    }
}

struct Offline: ParsableCommand {
    static let configuration = CommandConfiguration(
        of: "offline",
        discussion:
            "If it is active it hands over first. It stays out until it is told online or started anew, whatever becomes of its twin."
    )
    @Option(help: "A line for the event log.") var reason = ""

    func run() throws { try obey(.offline(reason: reason), timeout: .seconds(60)) }
}

struct Online: PlainOrder {
    static let command = ManagementCommand.online
}

/// Failure injection: hidden, and refused unless the configuration allows it.
struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Break something on purpose.", shouldDisplay: false,
        subcommands: [TestHangEngine.self, TestTrapEngine.self])
}

struct TestHangEngine: PlainOrder {
    static let command = ManagementCommand.testHangEngine
}

struct TestTrapEngine: PlainOrder {
    static let command = ManagementCommand.testTrapEngine
}
