package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// The timestamps of ListOffsets with a meaning of their own.
const (
	latestTimestamp   = -1
	earliestTimestamp = -2
)

// handleListOffsets finds offsets by time.
//
// Behaviour:
//   - Timestamp -1 is the high watermark, or the last stable offset for readers of committed data; -2 the start of the log.
//   - Any other is the first offset with that timestamp or a later one, or -1 if there is none. The batches in question
//     are read in the background: they may have to come from the disk.
//
// Versions: 0 asks for several offsets and gets a list (at most one here); 1 to 5 get offset and timestamp.
func (b *Broker) handleListOffsets(c *conn, req *kmsg.ListOffsetsRequest) {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	var searches []timeSearch
	for i := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			want := &req.Topics[i].Partitions[j]
			r, rng := b.listOffset(topic.Topic, want, req.IsolationLevel)
			topic.Partitions = append(topic.Partitions, r)
			if rng.Segment != nil {
				rng.Segment.Retain()
				searches = append(searches, timeSearch{i, j, want.Timestamp, rng})
			}
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if len(searches) == 0 {
		b.reply(c, oldStyle(req.Version, resp))
		return
	}
	b.replyLater(c, func() (kmsg.Response, func()) {
		var failed error
		for _, s := range searches {
			r := &resp.Topics[s.topic].Partitions[s.partition]
			var err error
			if r.Offset, r.Timestamp, err = firstAtTime(s.rng, s.timestamp); err != nil {
				r.ErrorCode, failed = wire.CodeKafkaStorageError, err
			}
		}
		return oldStyle(req.Version, resp), func() {
			for _, s := range searches {
				s.rng.Segment.Release()
			}
			if failed != nil {
				b.limitLog.warn(b.log, b.now, "finding an offset by time failed", "error", failed)
			}
		}
	})
}

// timeSearch is one partition of a request whose answer has to be read from batches.
type timeSearch struct {
	topic, partition int
	timestamp        int64
	rng              segment.Range
}

// listOffset answers for one partition. A range that is not empty is where the answer has to be looked for.
func (b *Broker) listOffset(
	topic string, want *kmsg.ListOffsetsRequestTopicPartition, isolation int8,
) (kmsg.ListOffsetsResponseTopicPartition, segment.Range) {
	r := kmsg.NewListOffsetsResponseTopicPartition()
	r.Partition, r.Offset, r.Timestamp = want.Partition, -1, -1
	p := b.topics.find([]byte(topic), want.Partition)
	if p == nil {
		r.ErrorCode = b.topics.missing([]byte(topic), want.Partition)
		return r, segment.Range{}
	}
	if r.ErrorCode = checkLeaderEpoch(want.CurrentLeaderEpoch, p.log.LeaderEpoch()); r.ErrorCode != 0 {
		return r, segment.Range{}
	}
	r.LeaderEpoch = p.log.LeaderEpoch()
	switch {
	case want.Timestamp == latestTimestamp && isolation == readCommitted:
		r.Offset = p.log.LastStableOffset()
	case want.Timestamp == latestTimestamp:
		r.Offset = p.log.HighWatermark()
	case want.Timestamp == earliestTimestamp:
		r.Offset = p.log.LogStartOffset()
	case want.Timestamp < 0:
		r.ErrorCode = wire.CodeUnsupportedVersion
	default:
		return r, p.log.AtTime(want.Timestamp)
	}
	return r, segment.Range{}
}

// oldStyle fills in the list of offsets that version 0 has in place of one.
func oldStyle(version int16, resp *kmsg.ListOffsetsResponse) kmsg.Response {
	if version > 0 {
		return resp
	}
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if r := &resp.Topics[i].Partitions[j]; r.Offset >= 0 {
				r.OldStyleOffsets = []int64{r.Offset}
			}
		}
	}
	return resp
}
