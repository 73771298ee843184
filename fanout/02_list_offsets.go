package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/fetch"
	"oneplusn/fanout/wire"
)

// The special timestamps of ListOffsets.
const (
	latestTimestamp   = -1
	earliestTimestamp = -2
)

func init() {
	register(handleListOffsets, Request{Max: 5, onlyAsks: true,
		Does:     "finds offsets by time",
		Versions: "0 asks for several offsets and gets a list (at most one here); 1 to 5 get offset and timestamp",
		Errors: []int16{wire.CodeUnknownTopicOrPartition, wire.CodeUnsupportedVersion, wire.CodeKafkaStorageError,
			wire.CodeFencedLeaderEpoch, wire.CodeUnknownLeaderEpoch},
	})
}

// handleListOffsets finds offsets by time.
//
// Behaviour:
//   - Timestamp -1 is the high watermark, or the last stable offset with read_committed; -2 the start of the log.
//   - Any other is the first offset with that timestamp or a later one, not below the start of the log, or -1 if there is
//     none that the client may read. The epoch is that of the record's leader. The batches in question are read in the
//     background: see [fetch.ByTime].
func handleListOffsets(b *base, c *client, req *kmsg.ListOffsetsRequest) {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	reply := c.later()
	searches := b.fetcher.ByTime(req.IsolationLevel, c.Open, func() {
		if req.Version == 0 {
			useOldStyle(resp)
		}
		reply(resp)
	})
	resp.Topics = make([]kmsg.ListOffsetsResponseTopic, len(req.Topics))
	for i := range req.Topics {
		topic := &resp.Topics[i]
		topic.Topic = req.Topics[i].Topic
		topic.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, len(req.Topics[i].Partitions))
		for j := range topic.Partitions {
			b.listOffset(topic.Topic, &req.Topics[i].Partitions[j], req.IsolationLevel, &topic.Partitions[j], searches)
		}
	}
	searches.Run()
}

// listOffset answers for one partition, or adds a search.
func (b *base) listOffset(
	topic string, want *kmsg.ListOffsetsRequestTopicPartition, isolation int8,
	r *kmsg.ListOffsetsResponseTopicPartition, searches *fetch.ByTime,
) {
	r.Default()
	r.Partition, r.Offset, r.Timestamp = want.Partition, -1, -1
	p, code := b.findToRead([]byte(topic), want.Partition)
	if p == nil {
		r.ErrorCode = code
		return
	}
	if r.ErrorCode = p.CheckLeaderEpoch(want.CurrentLeaderEpoch); r.ErrorCode != 0 {
		return
	}
	switch {
	case want.Timestamp == latestTimestamp:
		r.Offset, r.LeaderEpoch = p.ReadableEnd(isolation), p.Log.LeaderEpoch()
	case want.Timestamp == earliestTimestamp:
		r.Offset = p.Log.LogStartOffset()
		r.LeaderEpoch = p.Log.EpochOf(r.Offset)
	case want.Timestamp < 0:
		r.ErrorCode = wire.CodeUnsupportedVersion
	default:
		searches.Add(p, want.Timestamp, r)
	}
}

// useOldStyle fills in the list of offsets that version 0 has in place of one.
func useOldStyle(resp *kmsg.ListOffsetsResponse) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if r := &resp.Topics[i].Partitions[j]; r.Offset >= 0 {
				r.OldStyleOffsets = []int64{r.Offset}
			}
		}
	}
}
