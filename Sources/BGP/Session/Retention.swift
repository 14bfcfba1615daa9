import Machine
import Wire

/// What is kept of a neighbour's routes beyond the session that brought them: from its end until the neighbour has said all
/// again in another one, or time is up.
struct Retention: Sendable {
    /// Families of which stale routes are kept.
    var families: RouteFamilySet
    /// RFC 4724 §4.2: by then the neighbour has to be back. RFC 9494 §4.2: then the long-lived period begins.
    var restartDeadline: Instant
    /// By then it has to have said all; what is stale for long goes by deadlines of its own.
    var staleDeadline: Instant
    /// Families that may be kept for long, in ascending order.
    var longLived: [LongLived] = []

    /// RFC 9494 §4.2, one family.
    struct LongLived: Sendable {
        var family: RouteFamily
        /// Seconds: what the neighbour asks for, no more than it may have here.
        var time: UInt32
        /// Since the period began; `nil` before.
        var deadline: Instant?
    }

    /// Families in the long-lived period.
    var inLongLivedPeriod: RouteFamilySet {
        longLived.reduce(into: []) { set, entry in if entry.deadline != nil { set.insert(RouteFamilySet(entry.family)) } }
    }

    mutating func forget(_ family: RouteFamily) {
        families.remove(RouteFamilySet(family))
        longLived.removeAll { $0.family == family }
    }
}

/// How the router itself came up, as far as its neighbours are to know of it (RFC 4724 §4.1).
struct ColdStart: Sendable {
    /// So long OPENs say that the router has restarted.
    var restartingUntil: Instant
    /// Selection_Deferral_Timer
    var selectionDeadline: Instant
}

extension Retention.LongLived: Fielded {
    static var blank: Self { .init(family: .ipv4Unicast, time: 0) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&family, "family")
        try visitor.field(&time)
        try visitor.field(&deadline)
    }
}

extension Retention: Fielded {
    static var blank: Self { .init(families: [], restartDeadline: .zero, staleDeadline: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&families, "families")
        try visitor.field(&restartDeadline)
        try visitor.field(&staleDeadline)
        try visitor.list(&longLived, maximum: Int(RouteFamily.count))
    }
}

extension ColdStart: Fielded {
    static var blank: Self { .init(restartingUntil: .zero, selectionDeadline: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&restartingUntil)
        try visitor.field(&selectionDeadline)
    }
}
