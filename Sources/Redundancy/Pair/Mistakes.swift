/// Mistakes in who may speak, each made once and mended. The simulator plants them one by one, to show that its seeds would
/// find them again; nothing else sets them.
public struct Mistakes: OptionSet, Sendable, Hashable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A holder whose twin is dead or silent waits for the twin's consent before it speaks alone.
    public static let boundToTheDead = Mistakes(rawValue: 1)
    /// Who has no carrier takes over as if it were the twin that is cut off.
    public static let votesWithoutCarrier = Mistakes(rawValue: 2)
    /// A controller that did not run believes that it missed nothing.
    public static let trustsItselfAfterSleep = Mistakes(rawValue: 4)
    /// A holder goes on alone before it is known that its twin resumes nothing.
    public static let aloneUnheard = Mistakes(rawValue: 8)
    /// A holder that has released mastership takes it back without a word of the twin.
    public static let reclaimsUnasked = Mistakes(rawValue: 16)
    /// A newcomer on the channel is believed to be the twin, started again, while the twin itself is heard.
    public static let believesEveryStart = Mistakes(rawValue: 32)
}
