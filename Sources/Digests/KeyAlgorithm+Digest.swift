import Records

extension KeyChain.Algorithm {
    /// The hash that it is made of; `nil` for clear text.
    public var digest: DigestAlgorithm? {
        switch self {
        case .clearText: nil
        case .md5, .hmacMD5: .md5
        case .sha1, .hmacSHA1: .sha1
        case .hmacSHA224: .sha224
        case .hmacSHA256: .sha256
        case .hmacSHA384: .sha384
        case .hmacSHA512: .sha512
        }
    }
}
