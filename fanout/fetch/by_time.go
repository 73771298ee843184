package fetch

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// ByTime are the searches by time of one ListOffsets request. They run in rounds: each reads one segment of each partition in the
// background, and then checks the result against the log, which may have changed.
type ByTime struct {
	fetcher   *Fetcher
	isolation int8
	wanted    func() bool
	done      func()
	list      []timeSearch
}

type timeSearch struct {
	partition       *Partition
	timestampMillis int64
	answer          *kmsg.ListOffsetsResponseTopicPartition
	*segment.TimeSearch
}

// ByTime begins the searches of a request; [ByTime.Run] calls done after the last. They are abandoned when wanted says that the
// client has gone.
func (fr *Fetcher) ByTime(isolation int8, wanted func() bool, done func()) *ByTime {
	return &ByTime{fetcher: fr, isolation: isolation, wanted: wanted, done: done}
}

// Add adds a search for the first record with a timestamp or a later one, whose offset goes into answer. Without one, or if the
// client may not read it, the answer stays as it is.
func (b *ByTime) Add(p *Partition, timestampMillis int64, answer *kmsg.ListOffsetsResponseTopicPartition) {
	b.add(timeSearch{partition: p, timestampMillis: timestampMillis, answer: answer}, 0)
}

// add adds a search from an offset on, unless the log knows that there is nothing to find.
func (b *ByTime) add(s timeSearch, from int64) {
	if s.TimeSearch = s.partition.Log.SearchTime(s.timestampMillis, from); s.TimeSearch != nil {
		b.list = append(b.list, s)
	}
}

// Run runs rounds of searches until none is left.
func (b *ByTime) Run() {
	if len(b.list) == 0 {
		b.done()
		return
	}
	fr := b.fetcher
	fr.config.Inflating.Go(fr.loop, func() (work, done func()) {
		if !b.wanted() {
			mark.Hit("a client left before its search by time")
			for i := range b.list {
				b.list[i].Release()
			}
			b.done()
			return nil, nil
		}
		return func() {
			for i := range b.list {
				b.list[i].Run(fr.config.MaxInflatedBytes)
			}
		}, b.roundEnded
	})
}

// roundEnded takes the results of a round, and begins the next.
func (b *ByTime) roundEnded() {
	ended := b.list
	b.list = nil
	for i := range ended {
		ended[i].Release()
		if b.wanted() {
			b.searched(&ended[i])
		}
	}
	b.Run()
}

// searched ends one search, and begins another if the answer is in a later segment.
func (b *ByTime) searched(s *timeSearch) {
	p, r := s.partition, s.answer
	switch {
	case p.removed:
		mark.Hit("a topic was deleted during a search by time")
		r.ErrorCode = wire.CodeUnknownTopicOrPartition
	case s.Err != nil:
		r.ErrorCode = wire.CodeKafkaStorageError
		b.fetcher.warnings.Warn(b.fetcher.loop, "finding an offset by time failed", "topic", p.Topic, "partition", p.Index, "error", s.Err)
	case s.Offset < 0:
		mark.Hit("a search by time went on in the next segment")
		b.add(*s, s.NextOffset())
	case s.Offset < p.Log.LogStartOffset(): // deleted meanwhile
		b.add(*s, 0)
	case s.Offset < p.ReadableEnd(b.isolation):
		r.Offset, r.Timestamp, r.LeaderEpoch = s.Offset, s.Timestamp, p.Log.EpochOf(s.Offset)
	}
}
