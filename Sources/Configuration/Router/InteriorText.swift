import ISIS
import OSPF
import Records
import SPF
import Wire

// What OSPF and IS-IS have in common.

extension Section where Root == SPFDelays {
    /// RFC 8405 §6: each can be set in milliseconds, from 0 to 60 s at least.
    static var backoff: Section {
        Section(SPFDelays(), isWhole: true) {
            Setting("initial-delay", \.initialDelay, .milliseconds(0...600_000), "Before routes are calculated, first.")
            Setting("short-delay", \.shortDelay, .milliseconds(0...600_000), "While one failure may still be told of.")
            Setting("long-delay", \.longDelay, .milliseconds(0...600_000), "After time-to-learn, while changes keep coming.")
            Setting("time-to-learn", \.timeToLearn, .milliseconds(0...600_000), "In which all routers tell of one failure.")
            Setting("hold-down", \.holdDown, .milliseconds(0...600_000), "Without a change, and it begins anew.")
        } check: { timers, fields in
            // RFC 8405 §3: HOLDDOWN_INTERVAL MUST be longer than TIME_TO_LEARN_INTERVAL.
            if timers.holdDown <= timers.timeToLearn {
                fields.field.error("hold-down must be above time-to-learn (RFC 8405 §5)")
            }
        }
    }
}

extension Kind where Value == UInt32 {
    /// How long a router that begins asks others to go around it: an hour or a day is nothing that RFC 6987 §2 or ISO 10589
    /// §7.2.8.1 would bound, so the bound is ours.
    static var startup: Kind { .seconds(0...86_400) }
}

extension Kind where Value == String {
    /// The name of one of the router's interfaces.
    static func interface(of interfaces: [InterfaceConfiguration]) -> Kind {
        let names = interfaces.map(\.name)
        return Kind(
            values: "the name of an interface", words: names,
            read: { field in
                guard let name = field.text(1...15, "the name of an interface") else { return nil }
                return names.contains(name)
                    ? name : field.wrong("there is no interface '\(name)'; " + Spelling.suggestion(for: name, among: names))
            }, text: YAMLWriter.scalar)
    }
}
