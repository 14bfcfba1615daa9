import Foundation
import Management
import Testing

@Suite struct ConfigurationChangeTextTests {
    private let command = (words: "config apply", object: "new.yaml")

    @Test func `the loser of two edits is told what, by whom, when, and what to say next`() {
        var view = ConfigurationApplyView(revision: nil, isAccepted: false, problems: [], difference: ["+ mine"], base: 8)
        view.conflict = ConfigurationConflictView(
            base: 7, revision: 8,
            changes: [
                .init(
                    revision: 8, time: Date(timeIntervalSince1970: 0), author: "ada", comment: "second upstream", isInForce: true)
            ],
            difference: ["- old", "+ new"])
        let outcome = view.outcome(command: command)
        #expect(outcome.status == .refused)
        #expect(outcome.lines == [])
        let text = outcome.complaints.joined(separator: "\n")
        #expect(text.contains("made from revision 7, and revision 8 is in force"))
        #expect(text.contains("revision 8 by ada"))
        #expect(text.contains("second upstream"))
        #expect(text.contains("  + new"))
        #expect(text.contains("'config apply --base 8 new.yaml'"))
    }

    @Test func `a dry run says how to apply exactly that`() {
        let view = ConfigurationApplyView(revision: nil, isAccepted: true, problems: [], difference: ["+ a"], base: 7)
        #expect(view.outcome(isDryRun: true, command: command).lines.last?.contains("'config apply --base 7 new.yaml'") == true)
        let same = ConfigurationApplyView(revision: nil, isAccepted: true, problems: [], difference: [], base: 7)
        #expect(same.outcome(command: command).lines == ["nothing changes"])
    }

    @Test func `a text that was shown knows its revision, and showing it again does not add another`() {
        var view = ConfigurationView(
            revision: 7, time: Date(timeIntervalSince1970: 0), author: "ada", comment: "two\nlines", text: "hostname: r1\n")
        let shown = ConfigurationHeader.text(of: view)
        #expect(shown.hasPrefix("# revision 7, "))
        #expect(shown.hasSuffix("twolines\nhostname: r1\n"))
        #expect(ConfigurationHeader.revision(of: shown) == 7)
        view.text = shown
        view.revision = 8
        #expect(ConfigurationHeader.text(of: view).split(separator: "\n").count == 2)
        #expect(ConfigurationHeader.revision(of: ConfigurationHeader.text(of: view)) == 8)
        #expect(ConfigurationHeader.revision(of: "hostname: r1") == nil)
        #expect(ConfigurationHeader.revision(of: "# revision x") == nil)
        view.revision = 0
        view.text = ""
        #expect(ConfigurationHeader.text(of: view) == "")
    }

    @Test func `an order of a client that knows no base is understood`() throws {
        let old = Data(#"{"configuration":{"file":"r","text":""},"comment":"c","dryRun":false}"#.utf8)
        #expect(try JSONDecoder().decode(ConfigurationApply.self, from: old).base == nil)
    }
}
