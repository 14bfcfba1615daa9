import ArgumentParser
import Configuration
import Conversion
import Foundation

/// `config import`: a first router file, made of what runs now.
struct ConfigImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Make a router file of a configuration of FRRouting, BIRD or OpenBGPD.",
        discussion: """
            The router file goes to the standard output, and to the standard error what became of each statement that is not \
            simply there now: left out, said differently, or of the other program alone. Read that list before you use the \
            file. With --output the file is checked as well, as 'config check' does.
            """)

    @Argument(help: "Whose it is: frr, bird or openbgpd.") var program: String
    @Argument(help: "The file, or - for the standard input.") var file: String
    @Option(name: [.short, .long], help: ArgumentHelp("Write the router file there.", valueName: "file")) var output: String?
    @Flag(help: "Name statements too that concern the other program alone.") var all = false
    @Flag(help: "Fail if a statement is left out.") var strict = false
    @OptionGroup var form: JSONFlag

    struct View: Codable {
        struct Note: Codable {
            /// `left`, `changed` or `needless`.
            var kind: String
            var line: Int
            var statement: String
            var reason: String
        }
        var statements: Int
        var mapped: Int
        var notes: [Note]
        /// What `config check` says of the router file.
        var problems: [String]
        var router: String
    }

    func run() throws {
        guard let dialect = Conversion.Dialect(rawValue: program.lowercased()) else {
            throw ValidationError(
                "'\(program)' is none of \(Conversion.Dialect.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let octets = try readInput(file)
        guard let text = String(validating: octets, as: UTF8.self) else {
            throw ValidationError("\(file): not a text in UTF-8")
        }
        let conversion = Conversion(text, from: dialect)
        if let output { try write(conversion.text, to: output) }
        let name = output ?? "router.yaml"
        let problems = ConfigurationKind.router.problems(Array(conversion.text.utf8), file: name, directory: ".").map(
            \.description)
        if form.json {
            try form.show(
                View(
                    statements: conversion.statements, mapped: conversion.mapped,
                    notes: conversion.notes.map {
                        View.Note(kind: $0.kind.name, line: $0.line, statement: $0.statement, reason: $0.reason)
                    }, problems: problems, router: conversion.text), [])
        } else {
            tell(conversion, problems)
            if output == nil { print(conversion.text, terminator: "") }
        }
        if strict, conversion.left > 0 { throw Silent(status: Status.refused) }
    }

    private func write(_ text: String, to path: String) throws {
        do { try text.write(toFile: path, atomically: true, encoding: .utf8) } catch {
            throw ValidationError("\(path): it cannot be written: \(error.localizedDescription)")
        }
    }

    private func tell(_ conversion: Conversion, _ problems: [String]) {
        for note in conversion.notes where all || note.kind != .needless {
            let place = note.line > 0 ? "\(file):\(note.line)" : file
            complain("\(place): \(note.kind.label): \(note.statement): \(note.reason)")
        }
        for problem in problems { complain(problem) }
        let share = conversion.statements == 0 ? 100 : conversion.mapped * 100 / conversion.statements
        complain(
            "\(file): \(conversion.mapped) of \(conversion.statements) statements carried over (\(share) %), "
                + "\(conversion.left) left out, \(conversion.notes.count { $0.kind == .changed }) to be looked at")
        if !problems.isEmpty { complain("the router file needs your hand before it can be used") }
    }
}

extension Conversion.Note.Kind {
    fileprivate var name: String {
        switch self {
        case .left: "left"
        case .changed: "changed"
        case .needless: "needless"
        }
    }
    fileprivate var label: String {
        switch self {
        case .left: "left out"
        case .changed: "look"
        case .needless: "not needed"
        }
    }
}
