import ArgumentParser
import Foundation
import Management

// A reader that has seen enough (`lockstepctl show route | head`) is no error.
signal(SIGPIPE, SIG_DFL)

do {
    let arguments = Connection.extract(from: Array(CommandLine.arguments.dropFirst()))
    var command = try Lockstepctl.parseAsRoot(arguments)
    try command.run()
} catch let silent as Silent {
    exit(silent.status)
} catch let failure as ManagementFailure {
    complain("lockstepctl: \(failure.reason)")
    exit(Status.of(failure))
} catch let failure as ManagementClient.Failure {
    complain("lockstepctl: \(failure)")
    exit(Status.of(failure))
} catch {
    let code = Lockstepctl.exitCode(for: error)
    if code == .success {
        print(Lockstepctl.fullMessage(for: error))
        exit(0)
    }
    complain(Lockstepctl.fullMessage(for: error))
    exit(code == .validationFailure ? Status.refused : Status.failed)
}
