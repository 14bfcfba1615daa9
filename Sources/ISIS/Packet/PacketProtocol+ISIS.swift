import Records

extension PacketProtocol {
    /// ISO 10589 §8.4.8: DSAP and SSAP FE, unnumbered information.
    public static var isis: PacketProtocol { .llc(0xfefe03) }
}
