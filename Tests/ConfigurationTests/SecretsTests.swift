import Testing

@testable import Configuration

/// Texts are shown to others: in tickets, in chats, over shoulders.
@Suite struct SecretsTests {
    static let source = Secrets.Source(revision: 12, isCanonical: false)

    static let text = """
        # password: from the old router
        bgp:
          neighbors:
            - address: 198.18.0.11
              password: plain one   # agreed on the phone
              description: "password: is not here"
            - {address: 198.18.0.12, password: 'it''s "two"', remote-as: 2}
            - address: 198.18.0.13
              password: &same "three \\"\\u0033\\" # 3"
            - address: 198.18.0.14
              password: *same
        isis:
          authentication:
            keys: [{id: 1, secret: vier}, {id: 2, algorithm: md5, secret: "fünf"}]
        ospf:
          authentication: {password: sechs}
        """
    static let values = ["plain one", "it's \"two\"", "three \"3\" # 3", "vier", "fünf", "sechs"]

    @Test func `passwords and keys are hidden, and nothing else changes`() throws {
        let hidden = try #require(Secrets.hide(in: Self.text, of: Self.source))
        #expect(
            hidden == """
                # password: <hidden>
                bgp:
                  neighbors:
                    - address: 198.18.0.11
                      password: <hidden:12/1>   # agreed on the phone
                      description: "password: is not here"
                    - {address: 198.18.0.12, password: <hidden:12/2>, remote-as: 2}
                    - address: 198.18.0.13
                      password: &same <hidden:12/3>
                    - address: 198.18.0.14
                      password: *same
                isis:
                  authentication:
                    keys: [{id: 1, secret: <hidden:12/4>}, {id: 2, algorithm: md5, secret: <hidden:12/5>}]
                ospf:
                  authentication: {password: <hidden:12/6>}
                """)
        #expect(Secrets.values(in: Self.text) == Self.values)
    }

    @Test func `an edited text gets back what it hides, wherever it stands now`() throws {
        let hidden = """
            ospf: {authentication: {password: <hidden:12/6>}}
            neighbors:
              - password: <hidden:12/3>
              - password: new
              - password: <hidden:7/c1>
              - password: <hidden:12/9>
            """
        let canonical = Secrets.Source(revision: 7, isCanonical: true)
        #expect(Secrets.sources(of: hidden) == [Self.source, canonical])
        let shown = Secrets.reveal(in: hidden, [Self.source: Self.values, canonical: ["sieben: 7"]])
        #expect(Secrets.values(in: shown) == ["sechs", "three \"3\" # 3", "new", "sieben: 7", "<hidden:12/9>"])
    }

    @Test func `what cannot be told from the rest with certainty is not shown`() {
        for text in [
            "password: |\n  folded\n", "password: >-\n  folded\n  twice\n", "password: in two\n  lines\n", "a: [",
            "\tpassword: x",
        ] { #expect(Secrets.hide(in: text, of: Self.source) == nil) }
        // A secret that nobody would take for one, with a secret's key above it.
        #expect(
            Secrets.hide(in: "secret:\n  - one\n  - {id: two}\n", of: Self.source)
                == "secret:\n  - <hidden:12/1>\n  - {id: <hidden:12/2>}\n")
        #expect(Secrets.hide(in: "", of: Self.source) == "")
    }

    @Test func `no secret of any protocol is in the canonical text or in a comparison of it`() throws {
        let configurations = [
            read(router(neighbor: "bfd: far\npassword: gehe1m", top: BFDTextTests.complete)),
            read(RouterTextTests.complete),
        ]
        for result in configurations {
            let text = RouterText.text(of: try #require(result.value))
            let secrets = Secrets.values(in: text)
            #expect(!secrets.isEmpty)
            let hidden = try #require(Secrets.hide(in: text, of: .init(revision: 1, isCanonical: true)))
            let lines = Secrets.hide(in: TextDifference.lines(from: "", to: text))
            for secret in secrets {
                #expect(!hidden.contains(": \(YAMLWriter.scalar(secret))\n"))
                #expect(!lines.contains { $0.hasSuffix(": \(YAMLWriter.scalar(secret))") })
            }
            #expect(Secrets.values(in: Secrets.reveal(in: hidden, [.init(revision: 1, isCanonical: true): secrets])) == secrets)
            // And as a text it is refused, not taken for a password.
            let problems = read(hidden).problems
            #expect(problems.contains { $0.message.contains("hidden") && $0.severity == .error })
        }
    }
}
