import Configuration
import Conversion
import Foundation
import Testing

/// Configurations of other programs as router files. Beside each sample lies the router file that it became;
/// `LOCKSTEP_RECORD=1` writes it anew.
@Suite struct ConversionTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Samples")

    func problems(_ text: String) -> [String] {
        ConfigurationKind.router.problems(Array(text.utf8), file: "router.yaml", directory: ".").filter { $0.severity == .error }
            .map(\.description)
    }
    func notes(_ conversion: Conversion, _ kind: Conversion.Note.Kind) -> [String] {
        conversion.notes.filter { $0.kind == kind }.map { "\($0.line): \($0.statement): \($0.reason)" }
    }

    @Test(arguments: Conversion.Dialect.allCases)
    func `A sample becomes the router file beside it, which can be used but for addresses that it does not tell`(
        dialect: Conversion.Dialect
    ) throws {
        let sample = try String(
            contentsOf: Self.folder.appendingPathComponent("edge.\(dialect.rawValue).conf"), encoding: .utf8)
        let conversion = Conversion(sample, from: dialect)
        let recorded = Self.folder.appendingPathComponent("edge.\(dialect.rawValue).yaml")
        let told =
            conversion.text + "\n# \(conversion.mapped) of \(conversion.statements)\n"
            + (notes(conversion, .left) + notes(conversion, .changed)).map { "# \($0)\n" }.joined()
        if ProcessInfo.processInfo.environment["LOCKSTEP_RECORD"] == "1" {
            try told.write(to: recorded, atomically: true, encoding: .utf8)
        }
        #expect(told == (try? String(contentsOf: recorded, encoding: .utf8)))
        #expect(problems(conversion.text).filter { !$0.contains("address") } == [])
        #expect(conversion.mapped * 10 >= conversion.statements * 9)
    }

    @Test func `What is not known is named with its line, and the rest goes on`() {
        let conversion = Conversion(
            """
            router bgp 65001
             bgp router-id 192.0.2.1
             neighbor 192.0.2.2 remote-as 65002
             neighbor 192.0.2.2 frobnicate
            router eigrp 5
             network 10.0.0.0/8
            ip route 10.0.0.0/8 eth0
            """, from: .frr)
        #expect(
            notes(conversion, .left) == [
                "4: neighbor 192.0.2.2 frobnicate: unknown here", "5: router eigrp 5: eigrp is not spoken",
                "6: network 10.0.0.0/8: in router eigrp",
                "7: ip route 10.0.0.0/8 eth0: a static route leads to an address, not to an interface alone",
            ])
        #expect(conversion.statements == 7 && conversion.mapped == 3)
        #expect(conversion.text.contains("{address: 192.0.2.2, remote-as: 65002, families: [ipv4-unicast]}"))
    }

    @Test func `All lists of a neighbor must let a route pass, as there`() {
        let text = Conversion(
            """
            router bgp 65001
             neighbor 192.0.2.2 remote-as 65002
             neighbor 192.0.2.2 prefix-list A in
             neighbor 192.0.2.2 route-map B in
            ip prefix-list A permit 10.0.0.0/8 le 24
            route-map B permit 10
            """, from: .frr
        ).text
        #expect(
            text.contains(
                "  import-192022:\n    - match:\n        - {policy: prefix-list-A}\n        - {policy: B}\n      then: accept\n"))
        #expect(text.contains("import: [import-192022]"))
    }

    @Test func `A list with something denied in it is a policy wherever it is named, also before it comes`() {
        let text = Conversion(
            """
            route-map B permit 10
             match ip address prefix-list A
            ip prefix-list A seq 5 deny 10.1.0.0/16
            ip prefix-list A seq 10 permit 10.0.0.0/8 le 24
            """, from: .frr
        ).text
        #expect(text.contains("B:\n    - {match: {policy: prefix-list-A}, then: accept}"))
        #expect(!text.contains("prefix-sets"))
    }

    @Test func `An area's interfaces are those with an address in its networks`() {
        let text = Conversion(
            """
            interface eth0
             ip address 10.1.0.1/24
            interface eth1
             ip address 10.2.0.1/24
            router ospf
             network 10.1.0.0/16 area 0
             network 10.2.0.0/16 area 0.0.0.7
             passive-interface eth1
            """, from: .frr
        ).text
        #expect(text.contains("router-id: 10.2.0.1"))
        #expect(text.contains("- id: 0\n      interfaces:\n        - {name: eth0}"))
        #expect(text.contains("- id: 7\n      interfaces:\n        - {name: eth1, passive: true}"))
    }

    @Test func `A filter's branches are statements, its opposite conditions and cases, too`() {
        let conversion = Conversion(
            """
            filter f {
              if !(net ~ [ 10.0.0.0/8+ ]) && bgp_path.len > 30 then reject;
              if net.len = 24 || bgp_med < 5 then { bgp_local_pref = 7; accept; } else { if bgp_local_pref = 3 then accept; }
              reject;
            }
            protocol bgp x { local as 65001; neighbor 192.0.2.2 as 65002; ipv4 { import filter f; export none; }; }
            """, from: .bird)
        #expect(notes(conversion, .left) == [])
        #expect(
            conversion.text.contains(
                """
                  f:
                    - match:
                        - {not: {prefix: ["10.0.0.0/8 le 32"]}}
                        - {as-path-length: "31..65535"}
                      then: reject
                    - {match: {prefix-length: 24}, set: {local-preference: 7}, then: accept}
                    - {match: {med: "0..4"}, set: {local-preference: 7}, then: accept}
                    - {match: {local-preference: 3}, then: accept}
                    - {then: reject}
                """))
    }

    @Test func `A template is made from another, and what the later one says of a family counts`() {
        let conversion = Conversion(
            """
            protocol static s4 { ipv4; route 10.1.0.0/16 blackhole; }
            template bgp base { local as 65001; ipv4 { add paths on; import none; export none; }; }
            template bgp outside from base { ipv4 { add paths rx; export filter { if proto ~ "s4" then accept; reject; }; }; }
            protocol bgp u from outside { neighbor 192.0.2.2 as 65002; }
            protocol ospf v2 { ipv4 { export where source != RTS_DEVICE; }; area 0 { interface "eth0"; }; }
            """, from: .bird)
        #expect(notes(conversion, .left) == [])
        let text = conversion.text
        #expect(text.contains("export-u:\n    - {match: {source: local}, then: accept}\n    - {then: reject}"))
        #expect(text.contains("import: [none]") && text.contains("export: [export-u]"))
        #expect(text.contains("families: {ipv4-unicast: {add-path: {receive: true}}}"))
        #expect(text.contains("- {from: static, into: ospf, policy: into-ospf}"))
        #expect(text.contains("into-ospf:\n    - {match: {not: {protocol: [connected]}}, then: accept}"))
    }

    @Test func `A program in a filter is left, with the reason`() {
        let conversion = Conversion(
            """
            filter f { case net.type { NET_IP4: accept; } }
            protocol bgp x { local as 65001; neighbor 192.0.2.2 as 65002; ipv4 { import filter f; }; }
            """, from: .bird)
        #expect(notes(conversion, .left).count == 1)
        #expect(notes(conversion, .left).first?.contains("filter f: ") == true)
    }

    @Test func `Of OpenBGPD's rules the last one decides, quick ones come first`() {
        let text = Conversion(
            """
            AS 65001
            router-id 192.0.2.1
            neighbor 192.0.2.2 { remote-as 65002 }
            deny quick from any prefix 10.0.0.0/8
            allow from any
            deny from any prefix 172.16.0.0/12 or-longer
            allow from any prefix 192.0.2.0/24 set { localpref 5 }
            """, from: .openbgpd
        ).text
        #expect(
            text.contains(
                """
                  import-rules:
                    - {match: {prefix: [10.0.0.0/8]}, then: reject}
                    - {match: {prefix: [192.0.2.0/24]}, set: {local-preference: 5}, then: accept}
                    - {match: {prefix: ["172.16.0.0/12 le 32"]}, then: reject}
                    - {then: accept}
                """))
    }

    /// Whatever is in a file, it is taken apart, and what comes of it is YAML.
    @Test(arguments: Conversion.Dialect.allCases)
    func `Any text becomes a router file that can be read`(dialect: Conversion.Dialect) throws {
        let sample = try String(
            contentsOf: Self.folder.appendingPathComponent("edge.\(dialect.rawValue).conf"), encoding: .utf8)
        var random = SystemRandomNumberGenerator()
        let scalars = Array(sample.unicodeScalars)
        let signs = Array("{}[]();,\"'#!=~&|$\n 0/:*\\\u{7}\u{0}\u{7f}\u{85}\u{2028}\u{feff}\r".unicodeScalars)
        for _ in 0..<150 {
            var changed = scalars
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let at = Int.random(in: 0..<changed.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: changed[at] = signs.randomElement(using: &random)!
                case 1: changed.remove(at: at)
                default: changed.removeSubrange(at..<min(at + Int.random(in: 1...60, using: &random), changed.count))
                }
            }
            var text = ""
            text.unicodeScalars.append(contentsOf: changed)
            let conversion = Conversion(text, from: dialect)
            #expect(conversion.mapped >= 0 && conversion.mapped <= conversion.statements)
            let wrong = problems(conversion.text).filter { $0.contains("not YAML") }
            #expect(wrong == [], "\(text)")
        }
        for text in ["", "\n", "{", "}", "{{{{{{", "\"", "/*", "router bgp", "neighbor", "filter f {", "if"] {
            _ = Conversion(text, from: dialect)
        }
        _ = Conversion(String(repeating: "{", count: 100_000), from: dialect)
    }
}
