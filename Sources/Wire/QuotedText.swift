extension String {
    /// In double quotes, as YAML 1.2 §5.7 and our own reading understand it on one line: a text from outside may hold
    /// quotation marks, control characters, and what YAML takes for line breaks.
    public var inDoubleQuotes: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            default:
                if scalar.value < 32 || (127...160).contains(scalar.value) || [0x2028, 0x2029, 0xfeff].contains(scalar.value) {
                    let digits = String(scalar.value, radix: 16)
                    quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    quoted.unicodeScalars.append(scalar)
                }
            }
        }
        return quoted + "\""
    }
}
