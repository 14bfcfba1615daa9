import Machine
import Routing
import Wire

// What `RIB` does with the table of one family or of all: see `FamilyTables`.

extension RIB {
    struct Announce: NLRIOperation {
        var source: Int
        var received: UInt32
        @inline(__always)
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ nlri: RawSpan, _ shared: inout RIBShared) {
            table.announce(nlri, source: source, received: received, &shared)
        }
    }

    struct Withdraw: NLRIOperation {
        var source: Int
        @inline(__always)
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ nlri: RawSpan, _ shared: inout RIBShared) {
            table.withdraw(nlri, source: source, &shared)
        }
    }

    struct SetOwnAddresses: TableOperation {
        var addresses: [IPAddress]
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.setOwnAddresses(addresses)
        }
    }

    /// Puts a source into the right group, or none.
    struct Place: TableOperation {
        var source: Int
        /// `nil`: the session does not carry the family.
        var parameters: ExportParameters?
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.place(source, parameters, &shared)
        }
    }

    /// How many paths of a source are taken; 0: all.
    struct SetMaximum: TableOperation {
        var source: Int
        var maximum: UInt32
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.adjRIBIn.setMaximum(maximum, of: source)
        }
    }

    struct Leave: TableOperation {
        var source: Int
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.leave(source, &shared)
            table.add(RIBTask(.sweep, source))
        }
    }

    struct AddTask: TableOperation {
        var task: RIBTask
        init(_ kind: RIBTask.Kind, _ source: Int) { task = RIBTask(kind, source) }
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) { table.add(task) }
    }

    /// Routes with one of these next hops are to be decided again.
    struct TouchNextHops: TableOperation {
        var numbers: Range<UInt32>
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            if table.adjRIBIn.isUnused { return }
            for number in numbers { table.nextHopsChanged.insert(number) }
        }
    }

    /// Routes under these prefixes may be valid otherwise than before.
    struct PayloadsChanged: TableOperation {
        var prefixes: [IPPrefix]
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.payloadsChanged(prefixes, shared)
        }
    }

    struct DecideAwaiting: TableOperation {
        var nextHop: UInt32
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.decideAwaiting(nextHop, &shared)
        }
    }

    struct ForgetAwaiting: TableOperation {
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.forgetAwaiting(shared)
        }
    }

    struct Refresh: TableOperation {
        var source: Int
        var isMarked: Bool
        var isDone = true
        mutating func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            isDone = table.refresh(source, isMarked: isMarked)
        }
    }

    /// Takes a source out of its group; its routes stay.
    struct Depart: TableOperation {
        var source: Int
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            table.leave(source, &shared)
        }
    }

    /// What is there of a source's routes is stale from here on.
    struct MarkStale: TableOperation {
        var source: Int
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) { table.markStale(source) }
    }

    struct PurgeStale: TableOperation {
        var source: Int
        func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) { table.purgeStale(source) }
    }

    struct Advertise: TableOperation {
        var now: Instant
        var defersTasks: Bool
        /// When the first table has work by itself.
        var deadline: Instant?
        @inline(__always)
        mutating func run<Family: RoutedFamily>(_ table: inout FamilyRIB<Family>, _ shared: inout RIBShared) {
            guard let own = table.advertise(at: now, defersTasks: defersTasks, &shared) else { return }
            deadline = deadline.map { min($0, own) } ?? own
        }
    }

    // MARK: questions

    struct Count: TableQuery {
        var source: Int
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Int {
            table.adjRIBIn.count(source)
        }
    }

    /// How many of a source's routes are stale.
    struct StaleCount: TableQuery {
        var source: Int
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Int {
            table.adjRIBIn.staleCount(source)
        }
    }

    struct CanMark: TableQuery {
        var source: Int
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Bool {
            table.adjRIBIn.canMark(source)
        }
    }

    struct HasUntold: TableQuery {
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Bool {
            table.hasUntold(shared)
        }
    }

    /// Whether nothing of a source is left, and no work with it.
    struct IsDone: TableQuery {
        var source: Int
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Bool {
            table.adjRIBIn.count(source) == 0 && !table.isBusy(source)
        }
    }

    /// Of the best routes, and of which routes are stale.
    struct TableDigest: TableQuery {
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> UInt64 {
            var digest = table.locRIB.digest
            for holding in table.adjRIBIn.holdings where holding.generation != 0 {
                digest.mix(UInt64(holding.generation) << 32 | UInt64(holding.stale))
            }
            return digest.value
        }
    }

    struct Chains: TableQuery {
        func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> [Int32] {
            table.groups.flatMap { [$0.parameters.chain, $0.parameters.defaultChain] }
        }
    }
}
