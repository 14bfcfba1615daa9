import ArgumentParser
import Configuration
import Foundation
import Host

extension ControllerFile.LogLevel: ExpressibleByArgument {}

/// The daemon's command line.
struct Lockstepd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstepd",
        abstract: "One controller of a redundant router.",
        discussion: """
            Two of them, one active and one standby, present themselves to the network as one router. Docs/configuration.md \
            describes the files, lockstepctl shows what is going on.
            """,
        version: Release.version)

    @Option(help: "This controller's own file.")
    var config = "/etc/lockstep/controller.yaml"

    @Flag(help: "Check the configuration files and end.")
    var check = false

    @Option(help: "debug, info, notice, warning or error; overrides 'log-level' of the file.")
    var logLevel: ControllerFile.LogLevel?

    @Option(help: "Seconds that a redundant active may take to hand over when it is told to end.")
    var handoverLimit = 5.0

    @Flag(help: "Lock the process in memory, so that it never waits for a page of its own.")
    var lockMemory = false

    @Flag(
        help: ArgumentHelp(
            "Use the router file although the datastore may have held a later configuration.",
            discussion: "For one start, after both controllers have lost theirs."))
    var acceptFirstConfiguration = false

    func run() throws {
        if check { throw ExitCode(Daemon.check(config)) }
        var options = Daemon.Options(configuration: config)
        options.logLevel = logLevel
        options.handoverLimit = .seconds(handoverLimit)
        options.locksMemory = lockMemory
        options.acceptsFirstConfiguration = acceptFirstConfiguration
        throw ExitCode(Daemon.run(options))
    }
}

Lockstepd.main()
