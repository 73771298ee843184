package fanout

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// handleDeleteRecords moves the start of logs.
//
// Behaviour:
//   - Records below the offset can no longer be read, at once and after every restart. -1 stands for the high watermark.
//   - The files go by whole segments, when all of their records are below the start.
//   - The answer comes when the new start is on disk.
//
// Versions: 0 and 1.
func (b *Broker) handleDeleteRecords(c *client, req *kmsg.DeleteRecordsRequest) {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	var moved []*partition
	for i := range req.Topics {
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, want := range req.Topics[i].Partitions {
			r := kmsg.NewDeleteRecordsResponseTopicPartition()
			r.Partition = want.Partition
			p := b.topics.find([]byte(t.Topic), want.Partition)
			if p == nil {
				r.LowWatermark, r.ErrorCode = -1, b.topics.missing([]byte(t.Topic), want.Partition)
				t.Partitions = append(t.Partitions, r)
				continue
			}
			r.LowWatermark, r.ErrorCode = b.deleteRecords(p, want.Offset)
			if r.ErrorCode == 0 {
				moved = append(moved, p)
			}
			t.Partitions = append(t.Partitions, r)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(moved) == 0 {
		b.reply(c, resp)
		return
	}
	end := c.errand()
	b.topics.changes.write(&b.topics.startsFile, func(err error) {
		b.startsWritten(resp, moved, err)
		if end() {
			b.reply(c, resp)
		}
	})
}

func (b *Broker) deleteRecords(p *partition, offset int64) (lowWatermark int64, code int16) {
	if p.topic.internal {
		return -1, wire.CodeInvalidTopic
	}
	if offset == -1 {
		offset = p.log.HighWatermark()
	}
	if err := p.log.DeleteRecords(offset); err != nil {
		if errors.Is(err, segment.ErrOffsetOutOfRange) {
			return -1, wire.CodeOffsetOutOfRange
		}
		return -1, wire.CodeKafkaStorageError
	}
	b.topics.starts[p.directory()] = p.log.LogStartOffset()
	return p.log.LogStartOffset(), 0
}

// startsWritten ends a request whose new starts have been written down, or could not be: then the records are gone only
// until the next restart, and the client is told to try again.
func (b *Broker) startsWritten(resp *kmsg.DeleteRecordsResponse, moved []*partition, err error) {
	if err != nil {
		b.loop.Log.Error("the start of logs could not be written down", "error", err, "remedy", storageRemedy(err))
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				if r := &resp.Topics[i].Partitions[j]; r.ErrorCode == 0 {
					r.LowWatermark, r.ErrorCode = -1, wire.CodeKafkaStorageError
				}
			}
		}
		return
	}
	var removals []func() error
	for _, p := range moved {
		if !b.topics.serves(p) {
			continue // deleted meanwhile
		}
		if remove := b.expireOne(p, b.loop.UnixMillis()); remove != nil {
			removals = append(removals, remove)
		}
	}
	b.removeFiles(removals)
}
