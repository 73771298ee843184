package segment

// AbortedTransaction is one that its producer aborted: its records, from FirstOffset up to the marker at LastOffset,
// are skipped by readers of committed data. Only directories that a Kafka broker wrote have them.
type AbortedTransaction struct {
	ProducerID              int64
	FirstOffset, LastOffset int64
}

// LastStableOffset is the offset below which no transaction is open: the high watermark, but for directories that a
// Kafka broker left with an open transaction.
func (l *Log) LastStableOffset() int64 { return l.highWatermark }

// Aborted appends to list the aborted transactions with records in a range of offsets, from up to but without to.
func (l *Log) Aborted(list []AbortedTransaction, from, to int64) []AbortedTransaction { return list }
