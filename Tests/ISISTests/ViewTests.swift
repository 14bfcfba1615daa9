import Machine
import Records
import Testing
import Wire
@testable import ISIS

@Suite struct ViewTests {
    @Test func `views name neighbours, LANs and LSPs`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b])
        network.start()
        network.run(.seconds(60))
        let machine = network.machine(a)
        let adjacency = machine.adjacencyViews(at: network.now)
        #expect(adjacency.map(\.hostname) == ["r2"])
        #expect(adjacency.first?.state == .up)
        // b is designated by its station, and says hello every three seconds.
        #expect(adjacency.first?.holdingTime == 10)
        #expect(
            adjacency.first.map { $0.holdTimeLeft > TimeSpan(.seconds(5)) && $0.holdTimeLeft <= TimeSpan(.seconds(10)) } == true)
        let interface = machine.interfaceViews().first
        #expect(interface?.levels.map(\.lan?.system) == [network.id(b)])
        #expect(interface?.levels.first?.isDesignated == false)
        let database = machine.databaseViews(.two, detail: true, at: network.now)
        #expect(database.map(\.hostname) == ["r1", "r2", "r2"])
        #expect(database.map(\.isOwn) == [true, false, false])
        #expect(database.allSatisfy { $0.contents?.contains { $0.hasPrefix("neighbor ") } == true })
        #expect(machine.databaseViews(.two, id: LSPID(network.id(b)), detail: false, at: network.now).count == 1)
        #expect(machine.hostnameViews.map(\.hostname) == ["r1", "r2"])
        let summary = machine.summaryView(at: network.now)
        #expect(summary?.adjacenciesUp == 1)
        #expect(summary?.databases.map(\.lsps) == [3])
        #expect(summary?.databases.map(\.ownLSPs) == [1])
        #expect(summary.map { $0.ipv4Routes + $0.ipv6Routes > 0 || $0.runs.count > 0 } == true)
        #expect(ISISInstance(seed: 1).summaryView(at: .zero) == nil)
    }
}
