import Testing
import Wire

@Suite struct CommunityTests {
    @Test(
        arguments: [
            (0x0002_fde8_0000_0001, "rt:65000:1"), (0x0102_c000_0201_0001, "rt:192.0.2.1:1"),
            (0x0202_0001_1170_0001, "rt:70000:1"), (0x0202_0000_fde8_0001, "rt:65000L:1"),
            (0x0003_0001_ffff_ffff, "soo:1:4294967295"),
            (0x4004_fde8_4cee_6b28, "link-bandwidth:65000:125000000"), (0x4004_fde8_0000_0000, "link-bandwidth:65000:0"),
            (0x4300_0000_0000_0000, "origin-validation:valid"), (0x4300_0000_0000_0002, "origin-validation:invalid"),
            (0x030c_0000_0000_0008, "0x030c000000000008"), (0x4300_0000_0000_0003, "0x4300000000000003"),
            // One half of an octet each second, and a number below zero.
            (0x4004_fde8_3f00_0000, "0x4004fde83f000000"), (0x4004_fde8_bf80_0000, "0x4004fde8bf800000"),
        ] as [(UInt64, String)])
    func `an extended community is what its text says`(raw: UInt64, text: String) {
        #expect("\(ExtendedCommunity(raw: raw))" == text)
        #expect(ExtendedCommunity(text) == ExtendedCommunity(raw: raw))
    }

    @Test func `what is no extended community is none`() {
        for text in [
            "", "rt", "rt:1", "rt:1:2:3", "rt:70000:65536", "rt:65000L:65536", "rt:1.2.3:1", "rt:+1:1", "xx:1:1", "0x1",
            "0x+30c000000000008",
            "0x030c00000000000g", "origin-validation:", "origin-validation:maybe", "link-bandwidth:70000:1",
            "link-bandwidth:1:-1",
        ] { #expect(ExtendedCommunity(text) == nil, "\(text)") }
        #expect(ExtendedCommunity("ro:1:2") == ExtendedCommunity("soo:1:2"))
    }

    @Test func `a speed is kept as the nearest number of single precision`() {
        func kept(_ speed: UInt64) -> UInt64? { ExtendedCommunity(linkBandwidthOf: 1, speed: speed).linkBandwidth }
        for speed: UInt64 in [0, 1, 3, 1_250_000_000, (1 << 24) - 1, 1 << 24, 1 << 63] { #expect(kept(speed) == speed) }
        #expect(kept((1 << 24) + 1) == 1 << 24)
        #expect(kept((1 << 24) + 3) == (1 << 24) + 4)
        // 2^64 is more than can be said.
        #expect(kept(.max) == nil)
    }
}
