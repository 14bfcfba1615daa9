import LineCard

extension Controller {
    /// For `show tcp` and `show interfaces`. Walks the line card's tables.
    public var lineCardStatus: LineCardStatus { lineCard.status }
}
