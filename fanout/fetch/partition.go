package fetch

import (
	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/list"
	"oneplusn/segment/mark"
)

// Partition is the fetch side of a partition. It must not move.
type Partition struct {
	Topic string
	Index int32
	Log   *segment.Log

	waiting   list.List[*wait]
	evaluated uint64 // the evaluation that met it last
	advanced  bool   // on Fetcher.advanced
	removed   bool   // deleted
}

// Advanced notes that the high watermark has moved. Waiting fetches are checked once a turn, however often it moves.
func (p *Partition) Advanced() {
	first := p.waiting.First()
	if p.advanced || first == nil {
		return
	}
	p.advanced = true
	fr := first.Value().fetch.fetcher
	fr.advanced = append(fr.advanced, p)
}

// readCommitted is the isolation level of consumers that must not see open or aborted transactions.
const readCommitted = 1

// ReadableEnd is the offset below which a client of an isolation level can read.
func (p *Partition) ReadableEnd(isolation int8) int64 {
	if isolation == readCommitted {
		return p.Log.LastStableOffset()
	}
	return p.Log.HighWatermark()
}

// CheckLeaderEpoch compares the leader epoch of a client, or -1, with the log's current one (KIP-320). It returns a Kafka
// error or 0.
func (p *Partition) CheckLeaderEpoch(known int32) int16 {
	switch current := p.Log.LeaderEpoch(); {
	case known < 0 || known == current:
		return 0
	case known < current:
		mark.Hit("a client knew an old leader epoch")
		return wire.CodeFencedLeaderEpoch
	}
	mark.Hit("a client knew a leader epoch that is to come")
	return wire.CodeUnknownLeaderEpoch
}
