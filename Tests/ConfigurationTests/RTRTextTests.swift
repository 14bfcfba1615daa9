import Engine
import RTR
import Testing
import Wire

@testable import Configuration

private func router(_ section: String) -> String {
    """
    interfaces:
      - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24]}
    rpki:
      \(section)
    """
}

@Suite struct RTRTextTests {
    @Test func `every key is read and written again`() throws {
        let text = router(
            "{caches: [198.18.0.5, {address: 198.18.0.6, port: 3323, preference: 50, local-address: 198.18.0.1, password: s,"
                + " description: second}], refresh: 10m, retry: 30s, expire: 2h, max-payloads: 1000}")
        let configuration = try #require(read(text).value)
        var second = CacheConfiguration(address: IPAddress("198.18.0.6")!)
        second.port = 3323
        second.preference = 50
        second.localAddress = IPAddress("198.18.0.1")!
        second.md5Key = "s"
        second.description = "second"
        var expected = RTRConfiguration(caches: [CacheConfiguration(address: IPAddress("198.18.0.5")!), second])
        expected.refresh = 600
        expected.retry = 30
        expected.expire = 7200
        expected.maximumPayloads = 1000
        #expect(configuration.rtr == expected)
        let canonical = RouterText.text(of: configuration)
        #expect(read(canonical).value == configuration)
        #expect(read(canonical).value.map { RouterText.text(of: $0) } == canonical)
    }

    @Test(arguments: [
        ("{}", "'caches' is missing; write at least one cache"),
        ("{caches: []}", "at least one cache is needed"),
        ("{caches: [198.18.0.1]}", "198.18.0.1 is the router itself"),
        ("{caches: [198.18.0.5, {address: 198.18.0.5}]}", "the cache 198.18.0.5 port 323 is written twice"),
        ("{caches: [{address: 198.18.0.5, local-address: 198.18.0.9}]}", "198.18.0.9 is no address of the router"),
        (
            "{caches: [198.18.0.5], refresh: 1h, expire: 1h}",
            "it must be above refresh, or data expire before they are asked for again"
        ),
        ("{caches: [198.18.0.5], expire: 5m}", "5m is not allowed; write a time from 10m to 48h"),
        ("{cache: 198.18.0.5}", "unknown key; write caches"),
    ]) func `a mistake is named`(_ section: String, _ message: String) {
        let result = read(router(section))
        #expect(result.value == nil)
        #expect(result.problems.contains { $0.message == message }, "\(result.problems.map(\.message))")
    }
}
