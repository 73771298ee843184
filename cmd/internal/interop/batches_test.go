//go:build interop

package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// codecs are the compressions of the protocol, by their number in the batch attributes.
var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// The record batch fields that tests read (record batch v2, see package segment).
const (
	batchLengthAt  = 8
	batchOverhead  = 12 // base offset and length
	attributesAt   = 21
	recordCountAt  = 57
	batchHeadBytes = 61
)

// batchCensus counts the batches of a partition.
type batchCensus struct {
	records int
	byCodec map[string]int // records in batches of each codec
}

// countBatches reads the batches of partition 0 of a topic as they are stored, without a consumer that would unpack
// them.
func countBatches(t *testing.T, address, topic string) batchCensus {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c := batchCensus{byCodec: map[string]int{}}
	ctx := within(t)
	for offset := int64(0); ; {
		batches, highWatermark, err := rawFetch(ctx, client, topic, offset)
		if err != nil {
			t.Fatalf("raw fetch of %s at %d: %v", topic, offset, err)
		}
		for len(batches) >= batchHeadBytes {
			size := batchOverhead + int(binary.BigEndian.Uint32(batches[batchLengthAt:]))
			if size > len(batches) {
				break // cut by the fetch's size; the next fetch starts with it
			}
			count := int(binary.BigEndian.Uint32(batches[recordCountAt:]))
			c.byCodec[codecs[binary.BigEndian.Uint16(batches[attributesAt:])&7]] += count
			c.records += count
			offset = int64(binary.BigEndian.Uint64(batches)) + int64(count)
			batches = batches[size:]
		}
		if offset >= highWatermark {
			return c
		}
	}
}

func rawFetch(ctx context.Context, client *kgo.Client, topic string, offset int64) (batches []byte, highWatermark int64, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 1000, 1, 8<<20
	partition := kmsg.NewFetchRequestTopicPartition()
	partition.FetchOffset, partition.PartitionMaxBytes = offset, 8<<20
	requested := kmsg.NewFetchRequestTopic()
	requested.Topic, requested.Partitions = topic, append(requested.Partitions, partition)
	req.Topics = append(req.Topics, requested)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, 0, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, 0, fmt.Errorf("one partition was asked for, the response has %d topics", len(resp.Topics))
	}
	p := resp.Topics[0].Partitions[0]
	return p.RecordBatches, p.HighWatermark, kerr.ErrorForCode(p.ErrorCode)
}

// wantCodec fails the test unless the topic holds that many records, all but a few of them in batches of one codec: a
// batch that is too short to shrink is sent plain by its client.
func wantCodec(t *testing.T, address, topic, codec string, records int) {
	t.Helper()
	got := countBatches(t, address, topic)
	if got.records != records {
		t.Errorf("%s holds %d records, published were %d", topic, got.records, records)
	}
	if plain := got.byCodec["none"]; got.byCodec[codec] < records*99/100 || codec != "none" && got.byCodec[codec]+plain != got.records {
		t.Errorf("%s was published with %s, stored are records in batches of %v", topic, codec, got.byCodec)
	}
}
