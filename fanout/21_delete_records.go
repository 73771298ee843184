package fanout

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/wire"
)

func init() {
	register(handleDeleteRecords, Request{Max: 1,
		Does: "deletes the records below an offset",
		Errors: []int16{wire.CodeOffsetOutOfRange, wire.CodeUnknownTopicOrPartition, wire.CodeInvalidTopic,
			wire.CodeKafkaStorageError},
	})
}

// handleDeleteRecords moves the start of logs.
//
// Behaviour:
//   - Records below the offset can no longer be read, at once and after every restart. -1 stands for the high watermark.
//   - A segment's files are deleted when all of its records are below the start.
//   - The answer comes when the new start is on disk.
func handleDeleteRecords(b *base, c *client, req *kmsg.DeleteRecordsRequest) {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	var moved []*catalog.Partition
	for i := range req.Topics {
		t := kmsg.DeleteRecordsResponseTopic{Topic: req.Topics[i].Topic}
		for _, want := range req.Topics[i].Partitions {
			r := kmsg.DeleteRecordsResponseTopicPartition{Partition: want.Partition, LowWatermark: -1}
			p, code := b.catalog.Find([]byte(t.Topic), want.Partition)
			if p == nil {
				r.ErrorCode = code
			} else if r.LowWatermark, r.ErrorCode = b.catalog.DeleteRecords(p, want.Offset); r.ErrorCode == 0 {
				moved = append(moved, p)
			}
			t.Partitions = append(t.Partitions, r)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(moved) == 0 {
		c.reply(resp)
		return
	}
	reply := c.later()
	b.catalog.KeepStarts(moved, func(err error) {
		if err != nil {
			refuseMoved(resp)
		}
		reply(resp)
	})
}

// refuseMoved tells the client to try again.
func refuseMoved(resp *kmsg.DeleteRecordsResponse) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if r := &resp.Topics[i].Partitions[j]; r.ErrorCode == 0 {
				r.LowWatermark, r.ErrorCode = -1, wire.CodeKafkaStorageError
			}
		}
	}
}
