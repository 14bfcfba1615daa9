// LineCard
