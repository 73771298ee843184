//go:build compat

package compat

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// seen has the records that consumers read from one broker, a line each, by consumer and topic.
type seen map[string][]string

// consumeAll lets every consumer read the topics, which have one partition each.
func consumeAll(t *testing.T, libs, address string, topics []string) seen {
	t.Helper()
	all := make(seen)
	for _, topic := range topics {
		for name, level := range map[string]kgo.IsolationLevel{"read_committed": kgo.ReadCommitted(), "read_uncommitted": kgo.ReadUncommitted()} {
			records := consume(t, address, topic, level)
			all["franz-go "+name+" "+topic] = records
			// A JVM starts for each: where nothing was ever aborted one level tells as much as two.
			if len(records) > 0 && (name == "read_committed" || topic == "transactions") {
				all["java "+name+" "+topic] = console(t, libs, address, topic, name, len(records))
			}
		}
	}
	return all
}

// consume reads a topic from its start to its end.
func consume(t *testing.T, address, topic string, level kgo.IsolationLevel) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := newClient(t, address, kgo.FetchIsolationLevel(level), kgo.FetchMaxPartitionBytes(32<<10),
		kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	var lines []string
	for next := int64(0); next < end.Offset; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%s of %s at offset %d of %d: %v", topic, address, next, end.Offset, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if r.Attrs.IsControl() {
				return // transaction markers are kept to see that the end has come
			}
			headers := ""
			for _, h := range r.Headers {
				headers += fmt.Sprintf(" %s=%q", h.Key, h.Value)
			}
			lines = append(lines, fmt.Sprintf("%d %d %q %q%s", r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, headers))
		})
	}
	return lines
}

func newClient(t *testing.T, address string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// console reads a topic with Kafka's own console consumer.
func console(t *testing.T, libs, address, topic, isolation string, records int) []string {
	t.Helper()
	out := tool(t, libs, "", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", address, "--topic", topic,
		"--partition", "0", "--offset", "earliest", "--isolation-level", isolation, "--max-messages", strconv.Itoa(records),
		"--timeout-ms", "20000", "--formatter-property", "print.offset=true", "--formatter-property", "print.key=true",
		"--formatter-property", "print.timestamp=true", "--formatter-property", "print.headers=true")
	return strings.Split(strings.TrimSpace(out), "\n")
}

// expectSame compares what consumers saw of two brokers.
func expectSame(t *testing.T, want, got seen) {
	t.Helper()
	for name, lines := range want {
		if i := firstDifference(lines, got[name]); i >= 0 {
			t.Errorf("%s: %d records of Kafka, %d of ours; the first that differs is number %d:\n  Kafka %s\n  ours  %s",
				name, len(lines), len(got[name]), i, lineAt(lines, i), lineAt(got[name], i))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d consumers saw something of Kafka, %d of ours", len(want), len(got))
	}
}

func firstDifference(a, b []string) int {
	if slices.Equal(a, b) {
		return -1
	}
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func lineAt(lines []string, i int) string {
	if i >= len(lines) {
		return "(none)"
	}
	return lines[i]
}
