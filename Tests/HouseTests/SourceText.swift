/// Swift source without its comments and string contents, line by line.
enum SourceText {
    static func code(of text: String) -> [String] {
        var lines: [String] = []
        var line: [UInt8] = []
        let bytes = Array(text.utf8)
        var i = 0
        var commentDepth = 0
        /// The closing delimiter of the string literal that we are in.
        var closing: [UInt8]? = nil
        let quote = UInt8(ascii: "\""), hash = UInt8(ascii: "#"), slash = UInt8(ascii: "/"), star = UInt8(ascii: "*")

        func matches(_ pattern: [UInt8]) -> Bool {
            i + pattern.count <= bytes.count && Array(bytes[i..<(i + pattern.count)]) == pattern
        }
        while i < bytes.count {
            let c = bytes[i]
            if c == 10 {
                lines.append(String(decoding: line, as: UTF8.self))
                line = []
                if closing == [quote] { closing = nil }
                i += 1
            } else if commentDepth > 0 {
                if matches([star, slash]) {
                    commentDepth -= 1
                    i += 2
                } else if matches([slash, star]) {
                    commentDepth += 1
                    i += 2
                } else {
                    i += 1
                }
            } else if let end = closing {
                if matches(end) {
                    closing = nil
                    i += end.count
                    line.append(quote)
                } else {
                    i += c == UInt8(ascii: "\\") && !end.contains(hash) ? 2 : 1
                }
            } else if matches([slash, slash]) {
                while i < bytes.count, bytes[i] != 10 { i += 1 }
            } else if matches([slash, star]) {
                commentDepth = 1
                i += 2
            } else if c == quote || c == hash {
                var hashes = 0
                while i + hashes < bytes.count, bytes[i + hashes] == hash { hashes += 1 }
                guard i + hashes < bytes.count, bytes[i + hashes] == quote else {
                    line.append(c)
                    i += 1
                    continue
                }
                i += hashes
                let quotes = matches([quote, quote, quote]) ? 3 : 1
                i += quotes
                closing = Array(repeating: quote, count: quotes) + Array(repeating: hash, count: hashes)
                line.append(quote)
            } else {
                line.append(c)
                i += 1
            }
        }
        if !line.isEmpty { lines.append(String(decoding: line, as: UTF8.self)) }
        return lines
    }
}
