/// One kind of answer: its `type` on the wire and its `value`.
public struct ResultDescription: Sendable {
    public let type: String
    public let value: any (Codable & Sendable).Type
    let read: @Sendable (KeyedDecodingContainer<ManagementKey>) throws -> ManagementResult
    /// - Returns: `false` if the answer is of another kind.
    let write: @Sendable (ManagementResult, inout KeyedEncodingContainer<ManagementKey>) throws -> Bool

    init<Value: Codable & Sendable>(
        _ type: String, _ make: @escaping @Sendable (Value) -> ManagementResult,
        _ take: @escaping @Sendable (ManagementResult) -> Value?
    ) {
        self.type = type
        value = Value.self
        read = { make(try $0.decode(Value.self, forKey: .value)) }
        write = { result, container in
            guard let value = take(result) else { return false }
            try container.encode(type, forKey: .type)
            try container.encode(value, forKey: .value)
            return true
        }
    }

    public static let all: [ResultDescription] = [
        .init("version", ManagementResult.version) { if case .version(let view) = $0 { view } else { nil } },
        .init("redundancy", ManagementResult.redundancy) { if case .redundancy(let view) = $0 { view } else { nil } },
        .init("bgp-summary", ManagementResult.bgpSummary) { if case .bgpSummary(let view) = $0 { view } else { nil } },
        .init("bgp-neighbors", ManagementResult.bgpNeighbors) { if case .bgpNeighbors(let view) = $0 { view } else { nil } },
        .init("bfd", ManagementResult.bfd) { if case .bfd(let view) = $0 { view } else { nil } },
        .init("routes", ManagementResult.routes) { if case .routes(let view) = $0 { view } else { nil } },
        .init("isis", ManagementResult.isis) { if case .isis(let view) = $0 { view } else { nil } },
        .init("rip", ManagementResult.rip) { if case .rip(let view) = $0 { view } else { nil } },
        .init("rpki", ManagementResult.rpki) { if case .rpki(let view) = $0 { view } else { nil } },
        .init("policy", ManagementResult.policy) { if case .policy(let view) = $0 { view } else { nil } },
        .init("tcp", ManagementResult.tcp) { if case .tcp(let view) = $0 { view } else { nil } },
        .init("interfaces", ManagementResult.interfaces) { if case .interfaces(let view) = $0 { view } else { nil } },
        .init("fib", ManagementResult.fib) { if case .fib(let view) = $0 { view } else { nil } },
        .init("ospf", ManagementResult.ospf) { if case .ospf(let view) = $0 { view } else { nil } },
        .init("kernel-fib", ManagementResult.kernelFIB) { if case .kernelFIB(let view) = $0 { view } else { nil } },
        .init("events", ManagementResult.events) { if case .events(let view) = $0 { view } else { nil } },
        .init("configuration", ManagementResult.configuration) { if case .configuration(let view) = $0 { view } else { nil } },
        .init("configuration-check", ManagementResult.configurationCheck) {
            if case .configurationCheck(let view) = $0 { view } else { nil }
        },
        .init("configuration-apply", ManagementResult.configurationApply) {
            if case .configurationApply(let view) = $0 { view } else { nil }
        },
        .init("configuration-history", ManagementResult.configurationHistory) {
            if case .configurationHistory(let view) = $0 { view } else { nil }
        },
        .init("configuration-diff", ManagementResult.configurationDiff) {
            if case .configurationDiff(let view) = $0 { view } else { nil }
        },
        .init("switchover", ManagementResult.switchover) { if case .switchover(let view) = $0 { view } else { nil } },
        .init("step", ManagementResult.step) { if case .step(let view) = $0 { view } else { nil } },
        .init("done", ManagementResult.done) { if case .done(let text) = $0 { text } else { nil } },
        .init("failure", ManagementResult.failure) { if case .failure(let failure) = $0 { failure } else { nil } },
    ]
}
