import ArgumentParser
import Foundation
import Host

/// Routes into a kernel, next to the least that any program must do for that.
struct KernelFIBCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fib-kernel",
        abstract: "Measures routes into the kernel, in a network namespace of its own; needs root.",
        discussion: "CPU time of the thread, the kernel's part included.")

    @Option(help: "How many IPv4 routes.")
    var routes = 1_000_000

    func validate() throws {
        if !(1...4_000_000).contains(routes) { throw ValidationError("--routes is 1 to 4000000") }
    }

    func run() throws {
        try KernelFIBBench.run(routes: routes) { line in
            var text = String(format: "%10.3f ms  ", line.seconds * 1e3) + line.what
            if line.count > 0 { text += String(format: ", %.3f µs for each", line.seconds * 1e6 / Double(line.count)) }
            print(text)
        }
    }
}
