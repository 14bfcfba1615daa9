import Controller
import Datastore
import Redundancy
import Testing

@testable import Host

@Suite struct FormatTests {
    @Test func `a host adds the datastore's transactions to what is agreed on, and all of it fits into an introduction`() {
        let schemas = ControllerSettings.formats
        #expect(schemas.parts.count == Controller.schemas.parts.count + 1)
        #expect(schemas.parts.count <= SchemaMap.partsMaximum)
        #expect(schemas["datastore"]?.newest == DatastoreTransaction.schemas.upperBound)
        #expect(Datastore.tablesVersion == 2)
    }
}
