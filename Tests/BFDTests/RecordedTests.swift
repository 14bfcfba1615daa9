import Machine
import RecordedSteps
import Records
import Testing

@testable import BFD

@Suite struct RecordedTests {
    private static func recorder(_ title: String, _ pair: Pair) -> StepRecorder {
        let recorder = StepRecorder(title)
        pair.observer = { [unowned pair] end, cause, effects in
            let outcome = effects.flatMap { effect -> [String] in
                switch effect {
                case .transmit(let transmission):
                    let packet = try? ControlPacket(transmission.bytes.span.bytes)
                    return ["> \(packet?.summary ?? "no BFD")"] + StepRecorder.octets(transmission.bytes)
                case .report(let report):
                    return [
                        "report \(report.status.state) diagnostic \(report.status.diagnostic), neighbor \(report.status.remoteState)"
                    ]
                }
            }
            recorder.step(at: pair.now, end === pair.a ? "a" : "b", cause, outcome: outcome)
        }
        return recorder
    }

    @Test func `RFC 5880 §6.2: a session comes up in three ways, a line card takes over, and silence ends it`() throws {
        let parameters = BFDSessionParameters(desiredMinTx: 300_000, requiredMinRx: 300_000)
        let pair = Pair(parameters, parameters)
        let recorder = Self.recorder("BFD: three-way handshake and poll; take-over of a; then a hears nothing of b", pair)
        pair.start()
        pair.run(.milliseconds(3500))
        #expect(pair.a.state == .up && pair.b.state == .up)
        pair.takeOver(pair.a)
        pair.run(.milliseconds(700))
        #expect(pair.b.state == .up)
        pair.passes = { toB, _ in toB }
        pair.run(.milliseconds(1500))
        #expect(pair.a.state == .down)
        try recorder.hold("three-way")
    }
}
