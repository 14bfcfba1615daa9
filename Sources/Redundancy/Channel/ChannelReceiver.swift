import Wire

/// Cuts the octets of the channel into messages, whatever the portions they come in.
///
/// Until the twin has said who it is, only small frames are accepted. After an error the receiver is dead: the channel
/// must be closed, since nothing tells where the next frame begins.
public struct ChannelReceiver: Sendable {
    private var buffer: [UInt8] = []
    private var position = 0
    /// The longest frame accepted now.
    public var frameMaximum = ChannelLimit.firstFrame
    /// The schema of records that the two have agreed on.
    public var records = RecordSchema.current
    private var isDead = false

    public init() {}

    /// Octets that wait for the rest of their frame.
    public var pending: Int { buffer.count - position }

    public mutating func append(_ octets: [UInt8]) {
        guard !isDead else { return }
        if position == buffer.count {
            buffer = octets
            position = 0
            return
        }
        if position > 1 << 16, position * 2 > buffer.count {
            buffer.removeFirst(position)
            position = 0
        }
        buffer.append(contentsOf: octets)
    }

    /// The next whole message, or `nil` when more octets are needed.
    public mutating func next() throws(DecodeError) -> ChannelMessage? {
        guard !isDead, buffer.count - position >= 4 else { return nil }
        var length = 0
        for i in 0..<4 { length = length << 8 | Int(buffer[position + i]) }
        guard length >= 1, length <= frameMaximum else {
            isDead = true
            throw DecodeError("frame length", at: position, .badLength)
        }
        guard buffer.count - position - 4 >= length else { return nil }
        let start = position + 4
        position = start + length
        do throws(DecodeError) {
            return try ChannelMessage(decoding: buffer.span.bytes.extracting(start..<(start + length)), records: records)
        } catch {
            isDead = true
            throw error
        }
    }
}
