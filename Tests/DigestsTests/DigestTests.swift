import Digests
import Machine
import Testing

private func hex(_ digest: DigestValue) -> String {
    digest.array.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
private func digest(_ algorithm: DigestAlgorithm, _ bytes: [UInt8]) -> String {
    hex(algorithm.digest(bytes.span.bytes))
}
private func mac(_ algorithm: DigestAlgorithm, _ key: [UInt8], _ bytes: [UInt8]) -> String {
    hex(hmac(algorithm, key: key.span.bytes, bytes.span.bytes))
}
private func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool { equalInConstantTime(a.span.bytes, b.span.bytes) }

struct MACVector: Sendable {
    var algorithm: DigestAlgorithm
    var test: Int
    var digest: String
    init(_ algorithm: DigestAlgorithm, _ test: Int, _ digest: String) {
        self.algorithm = algorithm
        self.test = test
        self.digest = digest
    }
}

@Suite struct DigestTests {
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a"
        ),
    ])
    func `MD5 gives the digests of RFC 1321 appendix A-5`(_ text: String, _ expected: String) {
        #expect(digest(.md5, Array(text.utf8)) == expected)
    }

    static let fips: [(DigestAlgorithm, String, String)] = [
        (
            .sha1, "",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        ),
        (
            .sha1, "abc",
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        ),
        (
            .sha1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (
            .sha224, "",
            "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"
        ),
        (
            .sha224, "abc",
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"
        ),
        (
            .sha224, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525"
        ),
        (
            .sha256, "",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
        (
            .sha256, "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        ),
        (
            .sha256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            .sha384, "",
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
                + "274edebfe76f65fbd51ad2f14898b95b"
        ),
        (
            .sha384, "abc",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                + "8086072ba1e7cc2358baeca134c825a7"
        ),
        (
            .sha384,
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
                + "fcc7c71a557e2db966c3e9fa91746039"
        ),
        (
            .sha512, "",
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                + "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
        ),
        (
            .sha512, "abc",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            .sha512,
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
                + "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
        ),
    ]
    @Test(arguments: fips)
    func `SHA gives the digests of the examples of FIPS 180-4`(
        _ algorithm: DigestAlgorithm, _ text: String, _ expected: String
    ) {
        #expect(digest(algorithm, Array(text.utf8)) == expected)
    }

    static let million: [(DigestAlgorithm, String)] = [
        (
            .md5,
            "7707d6ae4e027c70eea2a935c2296f21"
        ),
        (
            .sha1,
            "34aa973cd4c4daa4f61eeb2bdbad27316534016f"
        ),
        (
            .sha224,
            "20794655980c91d8bbb4c1ea97618a4bf03f42581948b2ee4ee7ad67"
        ),
        (
            .sha256,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
        (
            .sha384,
            "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b"
                + "07b8b3dc38ecc4ebae97ddd87f3d8985"
        ),
        (
            .sha512,
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
                + "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"
        ),
    ]
    @Test(arguments: million)
    func `a million times the letter a gives the published digest`(_ algorithm: DigestAlgorithm, _ expected: String) {
        let piece = [UInt8](repeating: 0x61, count: 1000)
        var hash = MessageDigest(algorithm)
        for _ in 0..<1000 { hash.update(piece.span.bytes) }
        #expect(hex(hash.finish()) == expected)
    }

    @Test(arguments: DigestAlgorithm.allCases)
    func `a digest does not depend on how its input is cut`(_ algorithm: DigestAlgorithm) {
        let bytes = (0..<300).map { UInt8($0 & 255) }
        let whole = digest(algorithm, bytes)
        for cut in 0...300 {
            var hash = MessageDigest(algorithm)
            hash.update(bytes.span.bytes.extracting(0..<cut))
            hash.update(bytes.span.bytes.extracting(cut..<300))
            #expect(hex(hash.finish()) == whole)
        }
        // Every length around the ends of blocks, octet by octet.
        for length in [55, 56, 57, 63, 64, 65, 111, 112, 113, 119, 120, 127, 128, 129] {
            var hash = MessageDigest(algorithm)
            for i in 0..<length { hash.update(bytes.span.bytes.extracting(i..<(i + 1))) }
            #expect(hex(hash.finish()) == digest(algorithm, Array(bytes[0..<length])))
        }
    }

    @Test(arguments: DigestAlgorithm.allCases)
    func `a digest has the length of its algorithm`(_ algorithm: DigestAlgorithm) {
        let empty: [UInt8] = []
        #expect(algorithm.digest(empty.span.bytes).count == algorithm.length)
        #expect(algorithm.digest(empty.span.bytes).bytes.byteCount == algorithm.length)
    }
}

@Suite struct HMACTests {
    /// RFC 2202 §2, §3: keys are as long as the digest.
    private func case2202(_ test: Int, length: Int) -> (key: [UInt8], data: [UInt8]) {
        switch test {
        case 1:
            (
                [UInt8](repeating: 0x0b, count: length),
                Array("Hi There".utf8)
            )
        case 2:
            (
                Array("Jefe".utf8),
                Array("what do ya want for nothing?".utf8)
            )
        case 3:
            (
                [UInt8](repeating: 0xaa, count: length),
                [UInt8](repeating: 0xdd, count: 50)
            )
        case 4:
            (
                [UInt8](1...25),
                [UInt8](repeating: 0xcd, count: 50)
            )
        case 5:
            (
                [UInt8](repeating: 0x0c, count: length),
                Array("Test With Truncation".utf8)
            )
        case 6:
            (
                [UInt8](repeating: 0xaa, count: 80),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
            )
        default:
            (
                [UInt8](repeating: 0xaa, count: 80),
                Array("Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".utf8)
            )
        }
    }
    static let vectors2202: [MACVector] = [
        MACVector(.md5, 1, "9294727a3638bb1c13f48ef8158bfc9d"),
        MACVector(.md5, 2, "750c783e6ab0b503eaa86e310a5db738"),
        MACVector(.md5, 3, "56be34521d144c88dbb8c733f0e8b3f6"),
        MACVector(.md5, 4, "697eaf0aca3a3aea3a75164746ffaa79"),
        MACVector(.md5, 5, "56461ef2342edc00f9bab995690efd4c"),
        MACVector(.md5, 6, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"),
        MACVector(.md5, 7, "6f630fad67cda0ee1fb1f562db3aa53e"),
        MACVector(.sha1, 1, "b617318655057264e28bc0b6fb378c8ef146be00"),
        MACVector(.sha1, 2, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        MACVector(.sha1, 3, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        MACVector(.sha1, 4, "4c9007f4026250c6bc8414f9bf50c86c2d7235da"),
        MACVector(.sha1, 5, "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"),
        MACVector(.sha1, 6, "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
        MACVector(.sha1, 7, "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"),
    ]
    @Test(arguments: vectors2202)
    func `HMAC with MD5 and SHA-1 gives the digests of RFC 2202`(_ vector: MACVector) {
        let (key, data) = case2202(vector.test, length: vector.algorithm.length)
        #expect(mac(vector.algorithm, key, data) == vector.digest)
    }

    /// RFC 4231 §4.2 to §4.8.
    private func case4231(_ test: Int) -> (key: [UInt8], data: [UInt8]) {
        switch test {
        case 1:
            (
                [UInt8](repeating: 0x0b, count: 20),
                Array("Hi There".utf8)
            )
        case 2:
            (
                Array("Jefe".utf8),
                Array("what do ya want for nothing?".utf8)
            )
        case 3:
            (
                [UInt8](repeating: 0xaa, count: 20),
                [UInt8](repeating: 0xdd, count: 50)
            )
        case 4:
            (
                [UInt8](1...25),
                [UInt8](repeating: 0xcd, count: 50)
            )
        case 5:
            (
                [UInt8](repeating: 0x0c, count: 20),
                Array("Test With Truncation".utf8)
            )
        case 6:
            (
                [UInt8](repeating: 0xaa, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)
            )
        default:
            (
                [UInt8](repeating: 0xaa, count: 131),
                Array(
                    ("This is a test using a larger than block-size key and a larger than block-size data. "
                        + "The key needs to be hashed before being used by the HMAC algorithm.").utf8)
            )
        }
    }
    static let vectors4231: [MACVector] = [
        MACVector(
            .sha224, 1,
            "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"),
        MACVector(
            .sha256, 1,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        MACVector(
            .sha384, 1,
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
                + "faea9ea9076ede7f4af152e8b2fa9cb6"),
        MACVector(
            .sha512, 1,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"),
        MACVector(
            .sha224, 2,
            "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
        MACVector(
            .sha256, 2,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        MACVector(
            .sha384, 2,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                + "8e2240ca5e69e2c78b3239ecfab21649"),
        MACVector(
            .sha512, 2,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"),
        MACVector(
            .sha224, 3,
            "7fb3cb3588c6c1f6ffa9694d7d6ad2649365b0c1f65d69d1ec8333ea"),
        MACVector(
            .sha256, 3,
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        MACVector(
            .sha384, 3,
            "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
                + "2a5ab39dc13814b94e3ab6e101a34f27"),
        MACVector(
            .sha512, 3,
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
                + "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"),
        MACVector(
            .sha224, 4,
            "6c11506874013cac6a2abc1bb382627cec6a90d86efc012de7afec5a"),
        MACVector(
            .sha256, 4,
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        MACVector(
            .sha384, 4,
            "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e"
                + "6801dd23c4a7d679ccf8a386c674cffb"),
        MACVector(
            .sha512, 4,
            "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
                + "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"),
        MACVector(
            .sha224, 5,
            "0e2aea68a90c8d37c988bcdb9fca6fa8099cd857c7ec4a1815cac54c"),
        MACVector(
            .sha256, 5,
            "a3b6167473100ee06e0c796c2955552bfa6f7c0a6a8aef8b93f860aab0cd20c5"),
        MACVector(
            .sha384, 5,
            "3abf34c3503b2a23a46efc619baef897f4c8e42c934ce55ccbae9740fcbc1af4"
                + "ca62269e2a37cd88ba926341efe4aeea"),
        MACVector(
            .sha512, 5,
            "415fad6271580a531d4179bc891d87a650188707922a4fbb36663a1eb16da008"
                + "711c5b50ddd0fc235084eb9d3364a1454fb2ef67cd1d29fe6773068ea266e96b"),
        MACVector(
            .sha224, 6,
            "95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e"),
        MACVector(
            .sha256, 6,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        MACVector(
            .sha384, 6,
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
                + "0c2ef6ab4030fe8296248df163f44952"),
        MACVector(
            .sha512, 6,
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
                + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"),
        MACVector(
            .sha224, 7,
            "3a854166ac5d9f023f54d517d0b39dbd946770db9c2b95c9f6f565d1"),
        MACVector(
            .sha256, 7,
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
        MACVector(
            .sha384, 7,
            "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
                + "a678cc31e799176d3860e6110c46523e"),
        MACVector(
            .sha512, 7,
            "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
                + "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"),
    ]
    @Test(arguments: vectors4231)
    func `HMAC with SHA-2 gives the digests of RFC 4231`(_ vector: MACVector) {
        let (key, data) = case4231(vector.test)
        #expect(mac(vector.algorithm, key, data) == vector.digest)
    }

    @Test(arguments: DigestAlgorithm.allCases)
    func `pieces give the same as the whole, and a key that was taken in serves many messages`(
        _ algorithm: DigestAlgorithm
    ) {
        let key = Array("a key".utf8)
        let data = (0..<200).map { UInt8($0) }
        let whole = mac(algorithm, key, data)
        let bytes = data.span.bytes
        let two = hmac(algorithm, key: key.span.bytes, bytes.extracting(0..<77), bytes.extracting(77..<200))
        #expect(hex(two) == whole)
        let three = hmac(
            algorithm, key: key.span.bytes, bytes.extracting(0..<1), bytes.extracting(1..<130),
            bytes.extracting(130..<200))
        #expect(hex(three) == whole)
        let keyed = HMAC(algorithm, key: key.span.bytes)
        for _ in 0..<2 {
            var mac = keyed
            mac.update(bytes)
            #expect(hex(mac.finish()) == whole)
        }
    }

    @Test func `comparison in constant time finds any difference and no other`() {
        let a = (0..<32).map { UInt8($0) }
        #expect(equal(a, a))
        #expect(!equal(a, Array(a.dropLast())))
        for bit in 0..<(32 * 8) {
            var b = a
            b[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!equal(a, b))
        }
    }
}
