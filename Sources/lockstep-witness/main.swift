import ArgumentParser
import WitnessServer

/// The witness's command line.
struct LockstepWitness: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockstep-witness",
        abstract: "The third vote for pairs of controllers.",
        discussion: """
            It runs on a host that fails for other reasons than the controllers' hosts do, and remembers for each pair who \
            may speak as the router. Docs/configuration.md describes its file, Docs/mastership.md what is asked and when.
            """)

    @Option(help: "The witness's file.")
    var config = "/etc/lockstep/witness.yaml"

    @Flag(help: "Check the configuration and end.")
    var check = false

    func run() throws {
        throw ExitCode(check ? WitnessProgram.check(config) : WitnessProgram.run(config))
    }
}

LockstepWitness.main()
