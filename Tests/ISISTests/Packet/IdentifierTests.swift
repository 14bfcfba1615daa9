import ISIS
import Machine
import Testing
import Wire

@Suite struct IdentifierTests {
    @Test func `system, node and LSP identifiers read back what they print`() throws {
        let system = try #require(SystemID("1921.6800.1001"))
        #expect(system.raw == 0x1921_6800_1001)
        #expect("\(system)" == "1921.6800.1001")
        let lsp = try #require(LSPID("1921.6800.1001.02-0f"))
        #expect(lsp.system == system)
        #expect(lsp.pseudonode == 2)
        #expect(lsp.fragment == 15)
        #expect("\(lsp)" == "1921.6800.1001.02-0f")
        #expect(NodeID("1921.6800.1001.02") == lsp.node)
        for bad in ["", "1921.6800", "1921.6800.10011", "1921.6800.100g", "+921.6800.1001", "1921.6800.1001."] {
            #expect(SystemID(bad) == nil)
        }
        #expect(LSPID("1921.6800.1001.02-f") == nil)
    }

    @Test func `LSP identifiers sort by system, pseudonode and number`() {
        let a = SystemID(raw: 1), b = SystemID(raw: 2)
        let ordered = [
            LSPID(a), LSPID(a, fragment: 1), LSPID(a, pseudonode: 1), LSPID(a, pseudonode: 1, fragment: 255), LSPID(b),
        ]
        #expect(ordered.shuffled().sorted() == ordered)
    }

    @Test func `area addresses and network entity titles read back what they print`() throws {
        let net = try #require(NetworkEntityTitle("49.0001.1921.6800.1001.00"))
        #expect("\(net.area)" == "49.0001")
        #expect(net.system == SystemID("1921.6800.1001"))
        #expect("\(net)" == "49.0001.1921.6800.1001.00")
        #expect(NetworkEntityTitle("49.0001.1921.6800.1001.01") == nil)
        #expect(NetworkEntityTitle("1921.6800.1001.00") == nil)
        #expect(AreaAddress("47.0023.0001") == AreaAddress([0x47, 0, 0x23, 0, 1]))
        #expect(AreaAddress([]) == nil)
        #expect(AreaAddress([UInt8](repeating: 1, count: 14)) == nil)
        let long = try #require(AreaAddress((1...13).map { UInt8($0) }))
        #expect(long.octets == (1...13).map { UInt8($0) })
        #expect(AreaAddress("49.000") == nil)
        #expect(AreaAddress("49..00") == nil)
    }

    @Test func `ISO 10589 clause 9: a header with another ID length, area count, version or length is refused`() throws {
        func type(_ bytes: [UInt8]) throws(DecodeError) -> PDUType {
            var reader = ByteReader(bytes.span.bytes)
            return try PDUHeader.decode(&reader)
        }
        for pdu in PDUType.allCases {
            var writer = ByteWriter()
            PDUHeader.encode(pdu, into: &writer)
            let sound = writer.bytes
            #expect(try type(sound) == pdu)
            for (place, value, field) in [
                (0, 0x81, "discriminator"), (1, 1, "header length"), (2, 2, "version extension"), (3, 7, "ID length"),
                (4, 31, "PDU type"), (5, 2, "version"), (7, 4, "maximum area addresses"),
            ] {
                var bytes = sound
                bytes[place] = UInt8(value)
                let error = #expect(throws: DecodeError.self) { try type(bytes) }
                #expect(error?.field.description == field)
                #expect(error?.offset == place)
            }
            var spelled = sound
            spelled[3] = 6
            spelled[7] = 3
            spelled[4] |= 0xe0
            #expect(try type(spelled) == pdu)
            for count in 0..<8 { #expect(throws: DecodeError.self) { try type(Array(sound.prefix(count))) } }
        }
    }
}
