import Machine
import Records
import Testing
import Wire

@testable import OSPF

@Suite struct ViewTests {
    @Test func `views say who is DR, who is Full, and what the databases hold`() {
        let net = VirtualNetwork()
        for _ in 0..<3 { net.addRouter() }
        net.connect([0, 1, 2])
        net.start()
        net.run(.seconds(60))
        let interface = net.routers[0].interfaceViews(at: net.now)
        #expect(interface.map(\.state) == [.drOther])
        #expect(interface.first?.designatedRouter == IPv4Address(10, 255, 0, 3))
        #expect(interface.first?.backupDesignatedRouter == IPv4Address(10, 255, 0, 2))
        #expect(interface.first?.fullNeighbors == 2)
        #expect((interface.first?.helloDue?.duration ?? .zero) > .zero)
        let neighbors = net.routers[0].neighborViews(at: net.now)
        #expect(neighbors.map(\.routerID) == [IPv4Address(10, 255, 0, 2), IPv4Address(10, 255, 0, 3)])
        #expect(neighbors.map(\.role) == ["Backup", "DR"])
        #expect(neighbors.allSatisfy { $0.deadTime > TimeSpan(.seconds(28)) && $0.deadTime <= TimeSpan(.seconds(40)) })
        #expect(neighbors.allSatisfy { $0.lastReason == "LoadingDone" || $0.lastReason == "ExchangeDone" })
        let area = net.routers[0].databaseViews().first { $0.id == .area(0) }
        #expect(area?.types.first == OSPFDatabaseView.TypeCount(type: .router, count: 3))
        #expect(net.routers.map { $0.database.checksumSum(of: .area(0)) } == Array(repeating: area?.checksumSum ?? 0, count: 3))
    }
}
