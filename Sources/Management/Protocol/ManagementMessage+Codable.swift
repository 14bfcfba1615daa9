import Foundation

// The names on the wire, in one place: scripts read them, so they change only with the protocol's version. Those of commands
// and answers are in their tables.

enum ManagementKey: String, CodingKey {
    case version, id, author, command, arguments, final, type, value
}

extension ManagementRequest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: ManagementKey.self)
        version = try container.decode(Int.self, forKey: .version)
        id = try container.decode(UInt64.self, forKey: .id)
        author = try container.decodeIfPresent(String.self, forKey: .author) ?? ""
        let name = try container.decode(String.self, forKey: .command)
        guard let row = CommandDescription.all.first(where: { $0.name == name }) else {
            throw DecodingError.dataCorruptedError(
                forKey: .command, in: container, debugDescription: "unknown command '\(name.prefix(64))'")
        }
        command = try row.read(container)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ManagementKey.self)
        try container.encode(version, forKey: .version)
        try container.encode(id, forKey: .id)
        try container.encode(author, forKey: .author)
        let row = command.description
        try container.encode(row.name, forKey: .command)
        try row.write(command, &container)
    }
}

extension ManagementResponse: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: ManagementKey.self)
        version = try container.decode(Int.self, forKey: .version)
        id = try container.decode(UInt64.self, forKey: .id)
        isFinal = try container.decode(Bool.self, forKey: .final)
        let type = try container.decode(String.self, forKey: .type)
        guard let row = ResultDescription.all.first(where: { $0.type == type }) else {
            throw DecodingError.dataCorruptedError(
                forKey: .type, in: container, debugDescription: "unknown type '\(type.prefix(64))'")
        }
        result = try row.read(container)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ManagementKey.self)
        try container.encode(version, forKey: .version)
        try container.encode(id, forKey: .id)
        try container.encode(isFinal, forKey: .final)
        for row in ResultDescription.all { if try row.write(result, &container) { return } }
    }
}
