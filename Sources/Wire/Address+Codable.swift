// In files, on the management socket and in cold state an address is its text: one spelling that people can search.

private func decodeText<T>(_ decoder: any Decoder, _ what: String, _ parse: (String) -> T?) throws -> T {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = parse(text) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not \(what)")
    }
    return value
}
private func encodeText(_ encoder: any Encoder, _ text: String) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
}

extension IPv4Address: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "an IPv4 address") { IPv4Address($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
extension IPv6Address: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "an IPv6 address") { IPv6Address($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "an IP address") { IPAddress($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
extension IPv4Prefix: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "an IPv4 prefix") { IPv4Prefix($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
extension IPv6Prefix: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "an IPv6 prefix") { IPv6Prefix($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
extension IPPrefix: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "an IP prefix") { IPPrefix($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
extension MACAddress: Codable {
    public init(from decoder: any Decoder) throws { self = try decodeText(decoder, "a MAC address") { MACAddress($0) } }
    public func encode(to encoder: any Encoder) throws { try encodeText(encoder, description) }
}
