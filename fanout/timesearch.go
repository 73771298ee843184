package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// timeSearches are the partitions of a request whose offsets have to be read from batches. They go in rounds: each reads one
// segment of each partition in the background, and the loop compares what was found with what the log is by then.
type timeSearches struct {
	c           *client
	end         func() bool // of the errand
	version     int16
	isolation   int8
	maxInflated int64 // of one batch, in bytes
	resp        *kmsg.ListOffsetsResponse
	list        []timeSearch
}

type timeSearch struct {
	topic, partition int // its place in the response
	of               *partition
	timestamp        int64
	*segment.TimeSearch
}

// add adds a search, unless the log knows already that there is nothing.
func (s *timeSearches) add(t timeSearch, from int64) {
	if t.TimeSearch = t.of.log.SearchTime(t.timestamp, from); t.TimeSearch != nil {
		s.list = append(s.list, t)
	}
}

// searchTimes runs a round of searches, or answers the request when there are none left.
func (b *Broker) searchTimes(s *timeSearches) {
	if len(s.list) == 0 {
		if s.end() {
			b.reply(s.c, oldStyle(s.version, s.resp))
		}
		return
	}
	b.inflating.Go(b.loop, func() (work, done func()) {
		if s.c.state != connOpen {
			for i := range s.list {
				s.list[i].Release()
			}
			s.end()
			return nil, nil
		}
		return func() {
			for i := range s.list {
				s.list[i].Run(s.maxInflated)
			}
		}, func() { b.searchedTimes(s) }
	})
}

// searchedTimes takes the end of a round, and begins the next.
func (b *Broker) searchedTimes(s *timeSearches) {
	done := s.list
	s.list = nil
	for i := range done {
		b.searchedTime(s, &done[i])
	}
	b.searchTimes(s)
}

// searchedTime takes the end of one search, and begins the next if the answer has to be elsewhere.
func (b *Broker) searchedTime(s *timeSearches, t *timeSearch) {
	t.Release()
	r := &s.resp.Topics[t.topic].Partitions[t.partition]
	p := b.topics.find([]byte(s.resp.Topics[t.topic].Topic), r.Partition)
	switch {
	case s.c.state != connOpen: // nobody waits any more
	case p != t.of: // deleted meanwhile
		r.ErrorCode = wire.CodeUnknownTopicOrPartition
	case t.Err != nil:
		r.ErrorCode = wire.CodeKafkaStorageError
		b.limitLog.Warn(b.loop.Log, b.loop.Now(), "finding an offset by time failed", "topic", p.topic.name, "partition", p.index, "error", t.Err)
	case t.Offset < 0:
		s.add(*t, t.NextOffset())
	case t.Offset < p.log.LogStartOffset():
		s.add(*t, 0)
	case t.Offset < p.fetch.ReadableEnd(s.isolation):
		r.Offset, r.Timestamp, r.LeaderEpoch = t.Offset, t.Timestamp, p.log.EpochOf(t.Offset)
	}
}
