import Foundation

/// The requests and answers of etcd's v3 gateway that the vote needs. The gateway writes 64-bit numbers as strings and octets
/// in base64, and leaves out what is zero.
enum EtcdMessages {
    /// A number that arrives as a string.
    struct Number: Codable, Hashable {
        var value: Int64
        init(_ value: Int64) { self.value = value }
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                guard let value = Int64(text) ?? UInt64(text).map({ Int64(bitPattern: $0) }) else {
                    throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text.prefix(40))' is no number")
                }
                self.value = value
            } else {
                value = try container.decode(Int64.self)
            }
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(String(value))
        }
    }
    struct Header: Codable {
        /// As the cluster says it: a number without a sign.
        var cluster_id: Number?
        var revision: Number?
    }
    struct KeyValue: Codable {
        var key: Data
        var value: Data?
        var mod_revision: Number?
    }

    struct Range: Codable {
        var key: Data
        var range_end: Data?
    }
    struct RangeAnswer: Codable {
        var header: Header?
        var kvs: [KeyValue]?
    }

    struct Put: Codable {
        var key: Data
        var value: Data
        var lease: Number?
    }
    struct Delete: Codable {
        var key: Data
    }
    struct Operation: Codable {
        var request_put: Put?
        var request_delete_range: Delete?
        var request_range: Range?
    }
    struct Comparison: Codable {
        var key: Data
        var target: String
        var result = "EQUAL"
        var mod_revision: Number?
        var create_revision: Number?
    }
    struct Transaction: Codable {
        var compare: [Comparison]
        var success: [Operation]
        var failure: [Operation]
    }
    struct OperationAnswer: Codable {
        var response_range: RangeAnswer?
    }
    struct TransactionAnswer: Codable {
        var header: Header?
        var succeeded: Bool?
        var responses: [OperationAnswer]?
    }

    struct LeaseGrant: Codable {
        var TTL: Number
        var ID = Number(0)
    }
    struct LeaseAnswer: Codable {
        var header: Header?
        var ID: Number?
        var TTL: Number?
        var error: String?
    }
    struct LeaseName: Codable {
        var ID: Number
    }
    /// Keeping alive is a stream; the gateway wraps each of its messages.
    struct LeaseStreamAnswer: Codable {
        var result: LeaseAnswer?
    }

    struct Authenticate: Codable {
        var name: String
        var password: String
    }
    struct Token: Codable {
        var header: Header?
        var token: String?
    }
    /// What the gateway says instead.
    struct Failure: Codable {
        var error: String?
        var message: String?
        var code: Int?
    }
}
