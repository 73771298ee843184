package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
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
//   - Any other is the first offset with that timestamp or a later one, not below the start of the log, or -1 if there is
//     none that the client may read. The epoch is that of the record's leader. The batches in question are read in the
//     background: see [timeSearches].
//
// Versions: 0 asks for several offsets and gets a list (at most one here); 1 to 5 get offset and timestamp.
func (b *Broker) handleListOffsets(c *client, req *kmsg.ListOffsetsRequest) {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	s := &timeSearches{c: c, end: c.errand(), version: req.Version, isolation: req.IsolationLevel,
		maxInflated: b.config.MaxInflatedBytes, resp: resp}
	for i := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			want := &req.Topics[i].Partitions[j]
			r, p := b.listOffset(topic.Topic, want, req.IsolationLevel)
			topic.Partitions = append(topic.Partitions, r)
			if p != nil {
				s.add(timeSearch{topic: i, partition: j, of: p, timestamp: want.Timestamp}, 0)
			}
		}
		resp.Topics = append(resp.Topics, topic)
	}
	b.searchTimes(s)
}

// listOffset answers for one partition. A partition that is not nil is one where the answer has to be looked for.
func (b *Broker) listOffset(
	topic string, want *kmsg.ListOffsetsRequestTopicPartition, isolation int8,
) (kmsg.ListOffsetsResponseTopicPartition, *partition) {
	r := kmsg.NewListOffsetsResponseTopicPartition()
	r.Partition, r.Offset, r.Timestamp = want.Partition, -1, -1
	p := b.topics.find([]byte(topic), want.Partition)
	if p == nil {
		r.ErrorCode = b.topics.missing([]byte(topic), want.Partition)
		return r, nil
	}
	if r.ErrorCode = p.fetch.CheckLeaderEpoch(want.CurrentLeaderEpoch); r.ErrorCode != 0 {
		return r, nil
	}
	switch {
	case want.Timestamp == latestTimestamp:
		r.Offset, r.LeaderEpoch = p.fetch.ReadableEnd(isolation), p.log.LeaderEpoch()
	case want.Timestamp == earliestTimestamp:
		r.Offset = p.log.LogStartOffset()
		r.LeaderEpoch = p.log.EpochOf(r.Offset)
	case want.Timestamp < 0:
		r.ErrorCode = wire.CodeUnsupportedVersion
	default:
		return r, p
	}
	return r, nil
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
