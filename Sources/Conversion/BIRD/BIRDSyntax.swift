/// A word, text or sign of BIRD's language, or of OpenBGPD's, and where it stands.
struct Token: Hashable, Sendable {
    enum Kind: Hashable, Sendable { case word, text, sign }
    var kind: Kind
    var text: String
    var line: Int

    func isSign(_ sign: String) -> Bool { kind == .sign && text == sign }
    func isWord(_ word: String) -> Bool { kind == .word && text == word }
}

/// Takes a text apart. Whatever there is becomes a token: nothing is refused here.
struct Lexer {
    private let scalars: [Unicode.Scalar]
    private var at = 0
    private var line = 1
    private let signs: [String]

    /// - Parameter signs: those of several characters, the longer ones first.
    init(_ text: String, signs: [String]) {
        scalars = Array(text.unicodeScalars)
        self.signs = signs
    }

    /// - Parameter keepsLines: a line's end is a sign, too: `\n`.
    static func tokens(_ text: String, signs: [String], keepsLines: Bool = false) -> [Token] {
        var lexer = Lexer(text, signs: signs)
        var tokens: [Token] = []
        while let token = lexer.next(keepsLines: keepsLines) { tokens.append(token) }
        return tokens
    }

    private static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || "0123456789._:/-%*+@".unicodeScalars.contains(scalar)
    }

    private mutating func next(keepsLines: Bool) -> Token? {
        while at < scalars.count {
            let scalar = scalars[at]
            if scalar == "\n" {
                at += 1
                line += 1
                if keepsLines { return Token(kind: .sign, text: "\n", line: line - 1) }
            } else if scalar == "\\", keepsLines, at + 1 < scalars.count, scalars[at + 1] == "\n" {
                at += 2
                line += 1
            } else if scalar.properties.isWhitespace {
                at += 1
            } else if scalar == "#" {
                while at < scalars.count, scalars[at] != "\n" { at += 1 }
            } else if scalar == "/", at + 1 < scalars.count, scalars[at + 1] == "*" {
                skipComment()
            } else if scalar == "\"" || scalar == "'" {
                return text(until: scalar)
            } else {
                return wordOrSign()
            }
        }
        return nil
    }

    private mutating func skipComment() {
        at += 2
        while at < scalars.count {
            if scalars[at] == "*", at + 1 < scalars.count, scalars[at + 1] == "/" { break }
            if scalars[at] == "\n" { line += 1 }
            at += 1
        }
        at = min(at + 2, scalars.count)
    }

    private mutating func text(until end: Unicode.Scalar) -> Token {
        var text = ""
        let start = line
        at += 1
        while at < scalars.count, scalars[at] != end {
            if scalars[at] == "\n" { line += 1 }
            text.unicodeScalars.append(scalars[at])
            at += 1
        }
        at = min(at + 1, scalars.count)
        return Token(kind: .text, text: text, line: start)
    }

    private mutating func wordOrSign() -> Token {
        for sign in signs where scalars[at...].starts(with: sign.unicodeScalars) {
            at += sign.unicodeScalars.count
            return Token(kind: .sign, text: sign, line: line)
        }
        guard Self.isOfWord(scalars[at]) else {
            at += 1
            return Token(kind: .sign, text: String(scalars[at - 1]), line: line)
        }
        var word = ""
        while at < scalars.count, Self.isOfWord(scalars[at]) {
            word.unicodeScalars.append(scalars[at])
            at += 1
        }
        return Token(kind: .word, text: word, line: line)
    }
}

/// `protocol bgp uplink { … }` or `router id 192.0.2.1;`: words, and perhaps statements within.
struct BIRDStatement: Hashable, Sendable {
    var tokens: [Token]
    /// What stands in braces after the words; `nil` without any.
    var block: [BIRDStatement]?
    /// The same, as it is: for filters, whose braces are those of a program.
    var body: [Token] = []

    var line: Int { tokens.first?.line ?? body.first?.line ?? 0 }
    var words: [String] { tokens.map(\.text) }
    var text: String {
        var text = ""
        for token in tokens {
            let isTight = [",", ")", "]", "}", ";", "."].contains(token.text) || text.hasSuffix("(") || text.hasSuffix("[")
            if !text.isEmpty, !isTight { text += " " }
            text += token.kind == .text ? "\"\(token.text)\"" : token.text
        }
        return text + (block == nil ? "" : " { … }")
    }

    /// Deeper than anybody writes it, braces are no structure any more.
    static let depthMaximum = 32

    static func parse(_ tokens: [Token]) -> [BIRDStatement] { parse(tokens[...], closing(tokens), depth: 0) }

    private static func parse(_ tokens: ArraySlice<Token>, _ ends: [Int?], depth: Int) -> [BIRDStatement] {
        var statements: [BIRDStatement] = []
        var current: [Token] = []
        var at = tokens.startIndex
        while at < tokens.endIndex {
            let token = tokens[at]
            if token.isSign(";") {
                if !current.isEmpty { statements.append(BIRDStatement(tokens: current)) }
                current = []
                at += 1
            } else if token.isSign("{"), let end = ends[at], depth < depthMaximum, !isRange(tokens, at) {
                let inside = tokens[(at + 1)..<end]
                statements.append(
                    BIRDStatement(tokens: current, block: parse(inside, ends, depth: depth + 1), body: Array(inside)))
                current = []
                at = end + 1
            } else {
                current.append(token)
                at += 1
            }
        }
        if !current.isEmpty { statements.append(BIRDStatement(tokens: current)) }
        return statements
    }

    /// `10.0.0.0/8{16,24}`
    private static func isRange(_ tokens: ArraySlice<Token>, _ at: Int) -> Bool {
        at + 4 < tokens.endIndex && at > tokens.startIndex && tokens[at - 1].text.contains("/") && tokens[at + 2].isSign(",")
            && tokens[at + 4].isSign("}")
    }

    /// For each opening brace where it closes, if it does.
    private static func closing(_ tokens: [Token]) -> [Int?] {
        var ends = [Int?](repeating: nil, count: tokens.count)
        var open: [Int] = []
        for (at, token) in tokens.enumerated() {
            if token.isSign("{") { open.append(at) }
            if token.isSign("}"), let start = open.popLast() { ends[start] = at }
        }
        return ends
    }
}
