//go:build compat

package compat

import (
	"context"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"oneplusn/cmd/internal/peer"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// A directory that a real broker left behind after a clean stop is served as it is.
func TestDirectoryOfKafkaIsServedRecordForRecord(t *testing.T) {
	libs := kafkaLibs(t)
	k := startKafka(t, libs, "log.cleaner.backoff.ms=200", "log.initial.task.delay.ms=200")
	var topics []string
	for codec := range codecs {
		topic := "codec-" + codec
		createTopic(t, k.address, topic, map[string]string{"segment.bytes": "1048576"})
		produceTo(t, k.address, topic, 3000, kgo.ProducerBatchCompression(codecs[codec]))
		topics = append(topics, topic)
	}
	createTopic(t, k.address, "transactions", nil)
	transactions(t, k.address, "transactions")
	compacted(t, k, "compacted")
	topics = append(topics, "transactions", "compacted")
	want := consumeAll(t, libs, k.address, topics)
	if a, b := want["franz-go read_committed transactions"], want["franz-go read_uncommitted transactions"]; len(a) == 0 || len(a) >= len(b) {
		t.Fatalf("%d committed records of %d: no transaction was aborted", len(a), len(b))
	}
	k.stop()

	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(k.dir)); err != nil {
		t.Fatal(err)
	}
	ours := serve(t, copied)
	expectSame(t, want, consumeAll(t, libs, ours.Kafka, topics))

	// It is a log like any other: what is appended comes behind what Kafka wrote, after a restart too.
	before := consume(t, ours.Kafka, "codec-lz4", kgo.ReadCommitted())
	produceTo(t, ours.Kafka, "codec-lz4", 100)
	after := consume(t, ours.Kafka, "codec-lz4", kgo.ReadCommitted())
	if len(after) != len(before)+100 || firstDifference(before, after[:len(before)]) >= 0 {
		t.Errorf("%d records before and %d after 100 were appended", len(before), len(after))
	}
	if err := ours.Stop(); err != nil {
		t.Fatal(err)
	}
	again := serve(t, copied)
	if after := consume(t, again.Kafka, "codec-lz4", kgo.ReadCommitted()); len(after) != len(before)+100 {
		t.Errorf("%d records after a restart, want %d", len(after), len(before)+100)
	}
	if err := again.Stop(); err != nil {
		t.Fatal(err)
	}
}

// serve starts our server on a directory.
func serve(t *testing.T, dir string, flags ...string) *peer.Server {
	t.Helper()
	s, err := peer.StartServer(dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server%s", s.Said())
		}
		s.Kill()
	})
	return s
}

func createTopic(t *testing.T, address, topic string, settings map[string]string) {
	t.Helper()
	given := make(map[string]*string)
	for name, value := range settings {
		given[name] = &value
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin := kadm.NewClient(newClient(t, address))
	if _, err := admin.CreateTopic(ctx, 1, 1, given, topic); err != nil {
		t.Fatalf("creating %s: %v", topic, err)
	}
}

// noise is text that follows from a number and can hardly be compressed.
func noise(i int) string {
	return fmt.Sprintf("%x", sha512.Sum512([]byte(strconv.Itoa(i))))
}

// record is a record with a key, a header, and a value that can be compressed a little.
func record(topic string, i int) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: fmt.Appendf(nil, "key-%d", i%7),
		Value:   fmt.Appendf(nil, "%d %s%s", i, strings.Repeat("value ", i%40), noise(i)),
		Headers: []kgo.RecordHeader{{Key: "number", Value: fmt.Append(nil, i)}},
	}
}

// produceTo writes records in many small batches.
func produceTo(t *testing.T, address, topic string, records int, options ...kgo.Opt) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := newClient(t, address, append(options, kgo.ProducerLinger(0))...)
	for from := 0; from < records; from += 50 {
		var batch []*kgo.Record
		for i := from; i < min(from+50, records); i++ {
			batch = append(batch, record(topic, i))
		}
		if err := client.ProduceSync(ctx, batch...).FirstErr(); err != nil {
			t.Fatalf("producing to %s of %s: %v", topic, address, err)
		}
	}
}

// transactions commits and aborts transactions of two producers that overlap, with plain records in between.
func transactions(t *testing.T, address, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	plain := newClient(t, address)
	a, b := newClient(t, address, kgo.TransactionalID("a")), newClient(t, address, kgo.TransactionalID("b"))
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	send := func(c *kgo.Client, from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			check(c.ProduceSync(ctx, record(topic, i)).FirstErr())
		}
	}
	for i := range 20 {
		check(a.BeginTransaction())
		send(a, i*100, i*100+3)
		check(b.BeginTransaction())
		send(b, i*100+10, i*100+12)
		send(plain, i*100+20, i*100+22)
		send(a, i*100+30, i*100+32)
		check(a.EndTransaction(ctx, kgo.TransactionEndTry(i%3 == 0)))
		send(b, i*100+40, i*100+42)
		check(b.EndTransaction(ctx, kgo.TransactionEndTry(i%2 == 0)))
	}
	send(plain, 5000, 5001) // so that the last record is one that every reader sees
}

// compacted writes few keys again and again until the broker has really compacted the topic.
func compacted(t *testing.T, k *kafka, topic string) {
	t.Helper()
	createTopic(t, k.address, topic, map[string]string{"cleanup.policy": "compact", "segment.bytes": "1048576", "segment.ms": "500",
		"min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0"})
	produceTo(t, k.address, topic, 2000)
	time.Sleep(600 * time.Millisecond) // past segment.ms, so that the next record rolls
	produceTo(t, k.address, topic, 50)
	before := 2050
	for deadline := time.Now().Add(readyTimeout); ; {
		if n := len(consume(t, k.address, topic, kgo.ReadUncommitted())); n < before/2 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("Kafka did not compact the topic")
		}
		time.Sleep(500 * time.Millisecond)
	}
}
