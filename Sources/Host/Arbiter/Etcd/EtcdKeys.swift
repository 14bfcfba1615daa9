import Foundation
import Machine
import Records
import Redundancy
import Witness

/// What one pair keeps in etcd: the word, and keys that vanish by themselves, whose absence is the proof that a right ran out.
struct EtcdKeys: Sendable {
    let word: Data
    /// Kept alive by whoever holds mastership.
    let holders: [Data]
    /// There while a released mastership is kept for the twin.
    let reserved: Data
    /// All of them, as a range.
    let all: EtcdMessages.Range
    let pair: String

    init(prefix: String, pair: String) {
        let folder = "\(prefix)/\(pair)/"
        word = Data("\(folder)word".utf8)
        holders = ControllerID.allCases.map { Data("\(folder)holder-\($0)".utf8) }
        reserved = Data("\(folder)reserved".utf8)
        var end = Data(folder.utf8)
        end[end.count - 1] += 1
        all = EtcdMessages.Range(key: Data(folder.utf8), range_end: end)
        self.pair = pair
    }

    func holder(_ controller: ControllerID) -> Data { holders[Int(controller.rawValue)] }
}

/// One moment of a pair's keys.
struct EtcdView: Sendable {
    /// `nil`: there is no word.
    var record: WitnessRecord?
    /// 0: there is no word.
    var modRevision: Int64 = 0
    var isHolderAlive = [false, false]
    var isReserved = false

    init(_ answer: EtcdMessages.RangeAnswer, _ keys: EtcdKeys) throws {
        for pair in answer.kvs ?? [] {
            if pair.key == keys.word {
                do {
                    let (name, _, record) = try WitnessRecord.decode(Array(pair.value ?? Data()))
                    guard name == keys.pair else { throw EtcdError(description: "it is of pair \(name)") }
                    self.record = record
                } catch {
                    throw EtcdError(
                        description: "the key \(String(decoding: keys.word, as: UTF8.self)) holds something else (\(error)); "
                            + "delete it, or give this pair another prefix", isInDoubt: false, isEndpointBad: false)
                }
                modRevision = pair.mod_revision?.value ?? 0
            } else if pair.key == keys.reserved {
                isReserved = true
            } else if let place = keys.holders.firstIndex(of: pair.key) {
                isHolderAlive[place] = true
            }
        }
    }

    /// There is no word, or only processes that begin have written one: nobody was ever granted anything, or it was deleted.
    var isLost: Bool { (record?.word.epoch ?? .zero) == .zero }

    func isAlive(_ controller: ControllerID) -> Bool { isHolderAlive[Int(controller.rawValue)] }

    /// What the keys say about the right of `id`'s twin.
    func evidence(for id: ControllerID, _ word: LeaseWord, at now: Instant, poll: Duration) -> LeaseWord.Evidence {
        let runs = word.holder == nil ? isReserved : isAlive(id.other)
        return runs ? .runs(until: now + poll) : .over
    }
}
