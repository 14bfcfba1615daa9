import Machine
import RecordedSteps
import Testing

@Suite struct RecordingTests {
    @Test func `what differs is said by step and line`() {
        let recorded = "title\n\n1  +0.000000  a: time\n    x\n    y\n\n2  +1.000000  a: time\n    z\n"
        #expect(Recording.difference(recorded: recorded, now: recorded) == nil)
        #expect(
            Recording.difference(recorded: recorded, now: recorded.replacing("    y", with: "    w"))
                == """
                step 1 is another than the one recorded
                  1  +0.000000  a: time
                      x
                -     y
                +     w
                """)
        #expect(
            Recording.difference(recorded: recorded, now: recorded + "\n3  +2.000000  b: time\n")
                == """
                step 3 is another than the one recorded (2 steps then, 3 now)
                + 3  +2.000000  b: time
                """)
        #expect(Recording.difference(recorded: recorded, now: "other" + recorded.dropFirst(5))?.hasPrefix("the title") == true)
    }

    @Test func `octets that repeat are counted`() {
        #expect(
            StepRecorder.octets([0x0f, 0x10, 0, 0, 1] + [UInt8](repeating: 0, count: 91) + [2])
                == [
                    "    0f100000 01000000 00000000 00000000 00000000 00000000 00000000 00000000",
                    "    00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000", "    and 32 octets like these",
                    "    02",
                ])
    }
}
