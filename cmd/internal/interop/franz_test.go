//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franzCodecs name franz-go's codecs as the protocol does.
var franzCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// newFranz is a franz-go client with its default settings and what the test adds. It ends with the test.
func newFranz(t *testing.T, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, address, topic string, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(newFranz(t, address)).CreateTopic(within(t), partitions, 1, nil, topic); err != nil {
		t.Fatalf("creating %s: %v", topic, err)
	}
}

// publishTimed publishes one batch for each time, in milliseconds since 1970.
func publishTimed(t *testing.T, address, topic string, millis ...int64) {
	t.Helper()
	client := newFranz(t, address, kgo.AllowAutoTopicCreation())
	for _, at := range millis {
		record := &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: time.UnixMilli(at)}
		if err := client.ProduceSync(within(t), record).FirstErr(); err != nil {
			t.Fatalf("publishing to %s: %v", topic, err)
		}
	}
}

// readAll reads records from the start of a topic, as lines, until it has as many as wanted.
func readAll(ctx context.Context, client *kgo.Client, records int) (sum string, err error) {
	hash := sha256.New()
	for n := 0; n < records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return "", err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			hash.Write(r.Value)
			hash.Write([]byte("\n"))
		})
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// TestFranzGetsFilesBack: its default producer is idempotent, its default consumer asks for fetch sessions.
func TestFranzGetsFilesBack(t *testing.T) {
	file, data := readCorpus(t), t.TempDir()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			s := startServer(t, data, "--transfer", mode)
			for _, codec := range codecs {
				franzRoundTrip(t, s.address, mode+"-"+codec, codec, file)
			}
		})
	}
}

func franzRoundTrip(t *testing.T, address, topic, codec string, file corpus) {
	t.Helper()
	ctx := within(t)
	createTopic(t, address, topic, 1)
	producer := newFranz(t, address, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(franzCodecs[codec]))
	var failures failures
	err := file.each(func(line []byte) {
		producer.Produce(ctx, kgo.SliceRecord(bytes.Clone(line)), func(_ *kgo.Record, err error) { failures.add(err) })
	})
	if err := errors.Join(err, producer.Flush(ctx), failures.first); err != nil {
		t.Fatalf("publishing to %s: %v", topic, err)
	}
	wantCodec(t, address, topic, codec, file.lines)
	var all sync.WaitGroup
	for range 3 {
		consumer := newFranz(t, address, kgo.ConsumeTopics(topic))
		all.Go(func() {
			defer consumer.Close()
			if sum, err := readAll(ctx, consumer, file.lines); err != nil || sum != file.sum {
				t.Errorf("%s came back with SHA-256 %s (%v), want %s", topic, sum, err, file.sum)
			}
		})
	}
	all.Wait()
}

// failures keeps the first error of promises that run one after another.
type failures struct{ first error }

func (f *failures) add(err error) {
	if f.first == nil {
		f.first = err
	}
}

// TestFranzSeesErrorCodes: the codes by which franz-go's users tell errors apart.
func TestFranzSeesErrorCodes(t *testing.T) {
	s := startServer(t, t.TempDir(), "--auto-create-topics=false")
	createTopic(t, s.address, "there", 1)
	ctx := within(t)

	producer := newFranz(t, s.address, kgo.ProducerBatchMaxBytes(8<<20), kgo.UnknownTopicRetries(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	err := producer.ProduceSync(ctx, &kgo.Record{Topic: "missing", Value: []byte("x")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("publishing to an unknown topic: %v, want %v", err, kerr.UnknownTopicOrPartition)
	}
	err = producer.ProduceSync(ctx, &kgo.Record{Topic: "there", Value: make([]byte, 3<<20)}).FirstErr()
	if !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("publishing 3 MiB in one record: %v, want %v", err, kerr.MessageTooLarge)
	}
	if err := producer.ProduceSync(ctx, &kgo.Record{Topic: "there", Value: []byte("one")}).FirstErr(); err != nil {
		t.Fatalf("publishing after a refused record: %v", err)
	}
	behind := kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"there": {0: kgo.NewOffset().At(7000)}})
	reset := newFranz(t, s.address, behind)
	if fetches := reset.PollFetches(ctx); fetches.Err() != nil || fetches.NumRecords() != 1 {
		t.Errorf("behind the end, with the default reset: %v, %d records, want 1", fetches.Err(), fetches.NumRecords())
	}
	strict := newFranz(t, s.address, behind, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err := strict.PollFetches(ctx).Err(); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("behind the end, without a reset: %v, want %v", err, kerr.OffsetOutOfRange)
	}
}

// TestTransactionsAreRefused: a transactional producer must learn at once that it can't work here.
func TestTransactionsAreRefused(t *testing.T) {
	s := startServer(t, t.TempDir())
	createTopic(t, s.address, "there", 1)
	client := newFranz(t, s.address, kgo.TransactionalID("t"), kgo.DefaultProduceTopic("there"))
	err := client.BeginTransaction() // asks for a producer id
	if err == nil || !strings.Contains(err.Error(), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED") {
		t.Errorf("beginning a transaction: %v, want %v", err, kerr.TransactionalIDAuthorizationFailed)
	}
}
