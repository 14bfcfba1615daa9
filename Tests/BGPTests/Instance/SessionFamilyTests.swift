import Machine
import Testing
import Wire

@testable import BGP

/// A session asks nothing of a family but what every family answers.
@Suite struct SessionFamilyTests {
    private static let families: [RouteFamily] = [.ipv4Unicast, .ipv6LabelledUnicast, .e164]

    private static func driver() -> Driver {
        var driver = Driver { $0.neighbors[0].families = Self.families.map { FamilyConfiguration($0) } }
        driver.accept()
        driver.receive(driver.open { $0.capabilities.families = RouteFamilySet(Self.families.map { RouteFamilySet($0) }) })
        driver.receive(Driver.keepalive)
        return driver
    }
    private static func reach(_ code: FamilyCode, _ nextHop: [UInt8], _ nlri: [UInt8]) -> [UInt8] {
        let value = code.octets + [UInt8(nextHop.count)] + nextHop + [0] + nlri
        return Build.message(
            2, Build.update(attributes: Build.attribute(0x80, 14, value) + Build.origin + Build.path4(65001)))
    }
    private static let numbers = reach(RouteFamily.e164.code, [10, 0, 0, 2], [16, 0x49, 0x30, 4, 0x70])
    private static let labelled = reach(
        RouteFamily.ipv6LabelledUnicast.code, Build.nextHop6, [24 + 32, 0, 6, 0x41, 0x20, 0x01, 0x0d, 0xb8])

    @Test func `labels and telephone numbers are offered, received, counted and shown`() throws {
        var driver = Self.driver()
        #expect(driver.state == .established)
        let sent = driver.sent
        let open = try OpenMessage(body: sent.span.bytes.extracting(19..<(Int(sent[16]) << 8 | Int(sent[17]))))
        #expect(open.capabilities.families == RouteFamilySet(Self.families.map { RouteFamilySet($0) }))
        driver.receive(Self.numbers + Self.labelled)
        driver.wait(.seconds(1))
        #expect(driver.prefixes == [0, 1, 2])
        #expect(driver.detail.summary.families.map(\.isNegotiated) == [true, true, true])
        let rib = driver.instance.rib
        #expect(rib.routes(.e164, after: nil, limit: 9).map(\.destination.description) == ["+4930", "+7"])
        let route = try #require(rib.route(covering: RouteDestination(.e164, "+493012345")!))
        #expect(route.destination.description == "+4930" && route.paths[0].isBest)
        #expect(route.paths[0].received.nextHop == IPAddress("10.0.0.2") && route.paths[0].label == nil)
        let labelled = try #require(rib.route(RouteDestination(.ipv6LabelledUnicast, "2001:db8::/32")!))
        #expect(labelled.paths[0].label == 100 && labelled.paths[0].received.nextHop == IPAddress("2001:db8::2"))
        // No packet follows either.
        #expect(!rib.hasRouteChanges)
        // End-of-RIB, and a withdrawal.
        let end = Build.message(2, Build.update(attributes: Build.attribute(0x80, 15, RouteFamily.e164.code.octets)))
        let gone = Build.attribute(0x80, 15, RouteFamily.e164.code.octets + [4, 0x70])
        driver.receive(end + Build.message(2, Build.update(attributes: gone)))
        #expect(driver.detail.summary.families.map(\.isComplete) == [false, false, true])
        #expect(driver.prefixes == [0, 1, 1])
    }

    @Test func `RFC 7606 §5.3: half a digit disables the family of telephone numbers alone`() {
        var driver = Self.driver()
        driver.receive(Self.numbers + Self.labelled)
        driver.receive(Self.reach(RouteFamily.e164.code, [10, 0, 0, 2], [6, 0x49]))
        driver.wait(.seconds(1))
        #expect(driver.state == .established)
        #expect(driver.prefixes == [0, 1, 0])
        #expect(driver.detail.summary.families.map(\.isDisabled) == [false, false, true])
        // A next hop of a form that the family does not know.
        driver.receive(Self.reach(RouteFamily.ipv6LabelledUnicast.code, [10, 0, 0, 2], [24, 0, 6, 0x41]))
        driver.wait(.seconds(1))
        #expect(driver.detail.summary.families.map(\.isDisabled) == [false, true, true])
        #expect(driver.prefixes == [0, 0, 0])
    }
}
