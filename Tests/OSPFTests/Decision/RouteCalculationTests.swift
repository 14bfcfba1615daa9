import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct RouteCalculationTests {
    private func check(_ seed: UInt64, _ version: OSPFVersion, _ family: AddressFamily) throws {
        var domain = RandomDomain(seed: seed, version: version, family: family)
        var calculation = RouteCalculation(seed: 4711)
        var told: [IPPrefix: RouteOffer] = [:]
        for step in 0..<60 {
            for _ in 0..<domain.random.number(in: 1...3) { domain.change() }
            if step % 20 == 19 {
                domain.local.configuration.rfc1583Compatibility.toggle()
            }
            let changes = domain.database.takeChanges()
            var twin: RouteCalculation?
            if step % 7 == 3 {
                var writer = SnapshotWriter()
                calculation.write(to: &writer)
                var reader = SnapshotReader(writer.bytes)
                twin = try RouteCalculation(from: &reader, seed: 8)
                try reader.expectEnd()
                #expect(twin?.routes == calculation.routes && twin?.digest == calculation.digest)
                #expect(twin?.boundaryRouters == calculation.boundaryRouters && twin?.borders == calculation.borders)
            }
            let outcome = calculation.calculate(changes, local: domain.local, database: domain.database)
            if var twin {
                let other = twin.calculate(changes, local: domain.local, database: domain.database)
                #expect(other.updates == outcome.updates && other.changedPrefixes == outcome.changedPrefixes)
                #expect(other.changedRouters == outcome.changedRouters)
                #expect(other.isBorderChanged == outcome.isBorderChanged)
                #expect(twin.digest == calculation.digest && twin.borders == calculation.borders)
                calculation = twin
            }
            #expect(outcome.updates == outcome.updates.sorted { $0.prefix < $1.prefix })
            for update in outcome.updates {
                #expect(told[update.prefix] != update.offer)
                told[update.prefix] = update.offer
            }
            let whole = WholeCalculation(domain.local, domain.database).routes
            let expected = whole.values.sorted { $0.prefix < $1.prefix }
            let found = calculation.routes
            guard found == expected else {
                for route in found where whole[route.prefix] != route {
                    let other = whole[route.prefix].map { "\($0)" } ?? "none"
                    Issue.record("seed \(seed) step \(step): \(route)\n not \(other)")
                }
                for route in expected where calculation.route(for: route.prefix) == nil {
                    Issue.record("seed \(seed) step \(step): missing \(route)")
                }
                return
            }
            // What was told adds up to what there is.
            var offers: [IPPrefix: RouteOffer] = [:]
            for route in expected {
                if let offer = RouteCalculation.offer(route, domain.local.configuration) {
                    offers[route.prefix] = offer
                }
            }
            #expect(told == offers)
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `OSPFv2: changes one after the other give what the whole calculation gives`(seed: UInt64) throws {
        try check(seed, .v2, .ipv4)
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `OSPFv3: changes one after the other give what the whole calculation gives`(seed: UInt64) throws {
        try check(seed, .v3, .ipv6)
    }
}
