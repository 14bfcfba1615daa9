import Machine
import Records
import Testing
import Wire

@testable import Controller

/// What the pair asks of a segment, and what counts as an answer.
@Suite struct SegmentQuestionTests {
    static let mac = MACAddress("02:11:22:33:44:55")!
    static let neighbor = IPv6Address("2001:db8::77")!

    func isQuestion(_ frame: [UInt8]) -> Bool { SegmentQuestion.isQuestion(frame.span.bytes) }
    func isAnswer(_ frame: [UInt8]) -> Bool { SegmentQuestion.isAnswer(frame.span.bytes) }

    @Test(arguments: [UInt16(0), 100])
    func `A neighbor is solicited from the link-local address of the device's own MAC, with a right checksum`(vlan: UInt16) {
        var frame = SegmentQuestion.frame(for: .v6(Self.neighbor), vlan: vlan)
        frame.fillSource(Self.mac)
        let start = vlan == 0 ? 14 : 18
        #expect(Array(frame[6..<12]) == [0x02, 0x11, 0x22, 0x33, 0x44, 0x55])
        #expect(
            Array(frame[(start + 8)..<(start + 24)])
                == [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x00, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55])
        #expect(Array(frame[(start + 64)..<(start + 72)]) == [1, 1, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55])
        #expect(Array(frame[0..<6]) == [0x33, 0x33, 0xff, 0, 0, 0x77])
        #expect(frame.count == start + 72)
        // RFC 1071: over everything with the checksum in its place the sum is zero.
        var sum = InternetChecksum()
        sum.add(frame.span.bytes.extracting((start + 8)..<(start + 40)))
        sum.add32(32)
        sum.add32(58)
        sum.add(frame.span.bytes.extracting((start + 40)..<frame.count))
        #expect(sum.value == 0)
        #expect(isQuestion(frame), "the twin knows it and counts no third party")
        #expect(!isAnswer(frame))
    }

    @Test func `An ARP probe has no sender's address and is known as a question`() {
        var frame = SegmentQuestion.frame(for: .v4(IPv4Address(192, 0, 2, 7)), vlan: 0)
        frame.fillSource(Self.mac)
        #expect(Array(frame[22..<32]) == [0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0, 0, 0, 0])
        #expect(Array(frame[38..<42]) == [192, 0, 2, 7])
        #expect(isQuestion(frame) && !isAnswer(frame))
    }

    @Test func `A frame of any length is looked at, also one that ends in the midst of a solicitation`() {
        for vlan in [UInt16(0), 100] {
            for address in [IPAddress.v6(Self.neighbor), .v4(IPv4Address(192, 0, 2, 7))] {
                var whole = SegmentQuestion.frame(for: address, vlan: vlan)
                whole.fillSource(Self.mac)
                for count in 0...whole.count {
                    let part = Array(whole.prefix(count))
                    #expect(!isAnswer(part))
                    if count < 42 { #expect(!isQuestion(part)) }
                }
            }
        }
    }

    @Test func `Only what comes to one station answers a question`() {
        var reply: [UInt8] = [2, 0x11, 0x22, 0x33, 0x44, 0x55, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2]
        reply += [UInt8](repeating: 0, count: 38)
        #expect(isAnswer(reply))
        reply[0] = 0xff
        #expect(!isAnswer(reply), "an announcement")
        var advertisement: [UInt8] = [
            2, 0x11, 0x22, 0x33, 0x44, 0x55, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255,
        ]
        advertisement += [UInt8](repeating: 0, count: 32) + [136] + [UInt8](repeating: 0, count: 23)
        #expect(isAnswer(advertisement))
        advertisement[0] = 0x33
        #expect(!isAnswer(advertisement), "the answer to another's question")
    }
}
