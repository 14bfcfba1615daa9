import Foundation

/// The repository as the rules see it: the sources, the tests, and what else a program is built from. Read from disk, or
/// planted by a test that wants to see a rule fail.
struct House {
    struct Source {
        /// From the root of the repository.
        var path: String
        var text: String
        /// Comments and contents of strings are blanked out; line numbers are kept.
        var lines: [String]

        init(path: String, text: String) {
            self.path = path
            self.text = text
            lines = SourceText.code(of: text)
        }

        private var parts: [Substring] { path.split(separator: "/") }
        /// `BGP` of `Sources/BGP/Database/RIB+Views.swift`.
        var target: String { parts.count > 1 ? String(parts[1]) : "" }
        /// `RIB` of it.
        var typeName: String { String(parts.last!.prefix { $0 != "+" && $0 != "." }) }
        var isTest: Bool { path.hasPrefix("Tests/") }
    }

    /// Swift files below `Sources` and `Tests`, ascending by path.
    var files: [Source]
    /// Every file that git tracks, with its size in octets.
    var tracked: [(path: String, size: Int)]

    var sources: [Source] { files.filter { !$0.isTest } }

    func sources(of targets: [String]) -> [Source] { sources.filter { targets.contains($0.target) } }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static let onDisk: House = {
        var files: [Source] = []
        var tracked: [(path: String, size: Int)] = []
        for folder in ["Sources", "Tests", "Scripts", "Docs"] {
            let base = root.appendingPathComponent(folder)
            let names = FileManager.default.enumerator(atPath: base.path)?.allObjects as? [String] ?? []
            for name in names.sorted() {
                let path = folder + "/" + name, url = root.appendingPathComponent(path)
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue,
                    !path.contains("__pycache__")
                else { continue }
                let size = (try? FileManager.default.attributesOfItem(atPath: url.path)[.size]) as? Int
                tracked.append((path, size ?? 0))
                guard path.hasSuffix(".swift"), folder == "Sources" || folder == "Tests",
                    let text = try? String(contentsOf: url, encoding: .utf8)
                else { continue }
                files.append(Source(path: path, text: text))
            }
        }
        return House(files: files, tracked: tracked)
    }()

    init(files: [Source], tracked: [(path: String, size: Int)]) {
        self.files = files
        self.tracked = tracked
    }

    /// A house with nothing but these.
    init(planted: [String: String]) {
        let paths = planted.keys.sorted()
        files = paths.filter { $0.hasSuffix(".swift") }.map { Source(path: $0, text: planted[$0]!) }
        tracked = paths.map { ($0, planted[$0]!.utf8.count) }
    }

    /// Where a word stands in the code of some sources.
    static func places(of pattern: some RegexComponent, in sources: [Source], _ say: (Substring) -> String) -> [String] {
        sources.flatMap { source in
            source.lines.enumerated().flatMap { number, line in
                line.matches(of: pattern).map { "\(source.path):\(number + 1): \(say(line[$0.range]))" }
            }
        }
    }
}
