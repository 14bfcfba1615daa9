import Machine
import Routing
import Wire

/// The tables of all families: the one place that knows which there are, and of which type each is.
///
/// What is done with a family's table is a value (`TableOperation`, `TableQuery`, `NLRIOperation`) with one generic
/// function. It is compiled for each family, so that no call is dynamic behind the one switch per message or question.
/// A table that is not used costs a few empty arrays.
struct FamilyTables: Sendable {
    var ipv4Unicast: FamilyRIB<IPv4Unicast>
    var ipv6Unicast: FamilyRIB<IPv6Unicast>
    var ipv4Labelled: FamilyRIB<IPv4LabelledUnicast>
    var ipv6Labelled: FamilyRIB<IPv6LabelledUnicast>
    var e164: FamilyRIB<E164>

    /// `seed` is for hashing only.
    init(seed: UInt64) {
        ipv4Unicast = FamilyRIB(seed: mix64(seed))
        ipv6Unicast = FamilyRIB(seed: mix64(seed &+ 1))
        ipv4Labelled = FamilyRIB(seed: mix64(seed &+ 2))
        ipv6Labelled = FamilyRIB(seed: mix64(seed &+ 3))
        e164 = FamilyRIB(seed: mix64(seed &+ 4))
    }

    @inline(__always)
    mutating func run<Operation: TableOperation>(
        _ operation: inout Operation, on family: RouteFamily, _ shared: inout RIBShared
    ) {
        switch family {
        case .ipv4Unicast: operation.run(&ipv4Unicast, &shared)
        case .ipv6Unicast: operation.run(&ipv6Unicast, &shared)
        case .ipv4LabelledUnicast: operation.run(&ipv4Labelled, &shared)
        case .ipv6LabelledUnicast: operation.run(&ipv6Labelled, &shared)
        default: operation.run(&e164, &shared)
        }
    }

    @inline(__always)
    mutating func run<Operation: NLRIOperation>(
        _ operation: Operation, _ nlri: RawSpan, on family: RouteFamily, _ shared: inout RIBShared
    ) {
        switch family {
        case .ipv4Unicast: operation.run(&ipv4Unicast, nlri, &shared)
        case .ipv6Unicast: operation.run(&ipv6Unicast, nlri, &shared)
        case .ipv4LabelledUnicast: operation.run(&ipv4Labelled, nlri, &shared)
        case .ipv6LabelledUnicast: operation.run(&ipv6Labelled, nlri, &shared)
        default: operation.run(&e164, nlri, &shared)
        }
    }

    /// Segments of a source's messages.
    @inline(__always)
    mutating func take(_ source: Int, of family: RouteFamily, limit: Int, _ body: (ArraySlice<UInt8>) -> Void) -> Int {
        switch family {
        case .ipv4Unicast: ipv4Unicast.take(source, limit: limit, body)
        case .ipv6Unicast: ipv6Unicast.take(source, limit: limit, body)
        case .ipv4LabelledUnicast: ipv4Labelled.take(source, limit: limit, body)
        case .ipv6LabelledUnicast: ipv6Labelled.take(source, limit: limit, body)
        default: e164.take(source, limit: limit, body)
        }
    }

    @inline(__always)
    func ask<Query: TableQuery>(_ query: Query, of family: RouteFamily, _ shared: borrowing RIBShared) -> Query.Answer {
        switch family {
        case .ipv4Unicast: query.answer(ipv4Unicast, shared)
        case .ipv6Unicast: query.answer(ipv6Unicast, shared)
        case .ipv4LabelledUnicast: query.answer(ipv4Labelled, shared)
        case .ipv6LabelledUnicast: query.answer(ipv6Labelled, shared)
        default: query.answer(e164, shared)
        }
    }
}

extension RouteFamily {
    /// The family as a type.
    var type: any RoutedFamily.Type {
        switch self {
        case .ipv4Unicast: IPv4Unicast.self
        case .ipv6Unicast: IPv6Unicast.self
        case .ipv4LabelledUnicast: IPv4LabelledUnicast.self
        case .ipv6LabelledUnicast: IPv6LabelledUnicast.self
        default: E164.self
        }
    }
}

/// A change of a family's table. What comes of it stays in the operation.
protocol TableOperation {
    mutating func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared)
}

/// One that comes with NLRI.
protocol NLRIOperation {
    func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ nlri: RawSpan, _ shared: inout RIBShared)
}

/// A question to a family's table.
protocol TableQuery {
    associatedtype Answer
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Answer
}

extension FamilyTables {
    /// With every family's table, in the order of their numbers.
    @inline(__always)
    mutating func runAll<Operation: TableOperation>(_ operation: inout Operation, _ shared: inout RIBShared) {
        for number in 0..<RouteFamily.count { run(&operation, on: RouteFamily(known: number), &shared) }
    }
    mutating func runAll(_ operation: some TableOperation, _ shared: inout RIBShared) {
        var operation = operation
        runAll(&operation, &shared)
    }
    mutating func run(_ operation: some TableOperation, on family: RouteFamily, _ shared: inout RIBShared) {
        var operation = operation
        run(&operation, on: family, &shared)
    }
    func askAll<Query: TableQuery>(_ query: Query, _ shared: borrowing RIBShared) -> [Query.Answer] {
        var answers: [Query.Answer] = []
        for family in RouteFamily.allCases { answers.append(ask(query, of: family, shared)) }
        return answers
    }
}

extension FamilyTables {
    func write(to writer: inout SnapshotWriter) {
        ipv4Unicast.write(to: &writer)
        ipv6Unicast.write(to: &writer)
        ipv4Labelled.write(to: &writer)
        ipv6Labelled.write(to: &writer)
        e164.write(to: &writer)
    }
    init(from reader: inout SnapshotReader, sets: Int, sources: Int) throws(DecodeError) {
        ipv4Unicast = try FamilyRIB(from: &reader, sets: sets, sources: sources)
        ipv6Unicast = try FamilyRIB(from: &reader, sets: sets, sources: sources)
        ipv4Labelled = try FamilyRIB(from: &reader, sets: sets, sources: sources)
        ipv6Labelled = try FamilyRIB(from: &reader, sets: sets, sources: sources)
        e164 = try FamilyRIB(from: &reader, sets: sets, sources: sources)
    }
}
