package fanout

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// damage flips a bit in the middle of a partition's segment, and makes the stop of the server a crash.
func damage(t *testing.T, dir, partition string) (path string, damaged []byte) {
	t.Helper()
	path = filepath.Join(dir, partition, strings.Repeat("0", 20)+".log")
	damaged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)/2] ^= 1
	for _, name := range []string{path, filepath.Join(dir, ".kafka_cleanshutdown")} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, damaged
}

// A bit flips in a segment, with valid batches behind it, while the server is down.
func TestDamagedPartitionIsRefusedAndTheOthersAreServed(t *testing.T) {
	dir := t.TempDir()
	first := start(t, func(c *Config) { c.DataDir = dir })
	c := first.dial()
	c.create("feed", 2)
	batch := makeBatch(1, 3, 100, 0)
	for range 3 {
		for partition := range int32(2) {
			req := produceRequest(7, -1, "feed", map[int32][]byte{partition: bytes.Clone(batch)})
			c.send(req)
			if r := produced(t, c, req, c.next); r.ErrorCode != 0 {
				t.Fatalf("produce: error %d", r.ErrorCode)
			}
		}
	}
	c.close()
	first.stop()
	path, damaged := damage(t, dir, "feed-1")

	second := start(t, func(c *Config) { c.DataDir = dir })
	if st := second.stats(); st.PartitionsRefused != 1 || st.Partitions != 2 {
		t.Errorf("%d of %d partitions are refused, want 1 of 2", st.PartitionsRefused, st.Partitions)
	}
	if !strings.Contains(second.log.String(), path) || !strings.Contains(second.log.String(), "oneplusn repair") {
		t.Errorf("the log names neither file nor remedy:\n%s", second.log)
	}
	c = second.dial()
	for partition, want := range []int16{0, wire.CodeKafkaStorageError} {
		req := produceRequest(7, -1, "feed", map[int32][]byte{int32(partition): bytes.Clone(batch)})
		c.send(req)
		if r := produced(t, c, req, c.next); r.ErrorCode != want {
			t.Errorf("produce to partition %d: error %d, want %d", partition, r.ErrorCode, want)
		}
		fetch := waitingFetch("feed", int32(partition), 0, 0)
		c.send(fetch)
		got := c.receive(fetch, c.next).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if got.ErrorCode != want || (want == 0) != (len(got.RecordBatches) > 0) {
			t.Errorf("fetch of partition %d: error %d and %d bytes, want %d", partition, got.ErrorCode, len(got.RecordBatches), want)
		}
	}
	c.close()
	second.stop()
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the damaged file was changed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err == nil {
		t.Error("a directory with a refused partition was marked as clean")
	}
}

// Its files may be all that is left of its records, and the topic's settings are unknown without its first partition.
func TestTopicWithARefusedPartitionIsNeitherExtendedNorDeleted(t *testing.T) {
	dir := t.TempDir()
	first := start(t, func(c *Config) { c.DataDir = dir })
	c := first.dial()
	c.create("feed", 2)
	log := &shadow{topic: "feed"}
	for i := range 3 {
		c.publish(log, makeBatch(uint64(i), 1, 100, 0))
	}
	c.close()
	first.stop()
	damage(t, dir, "feed-0")

	c = start(t, func(c *Config) { c.DataDir = dir }).dial()
	if code := c.createPartitions("feed", 3); code != wire.CodeKafkaStorageError {
		t.Errorf("more partitions: error %d, want %d", code, wire.CodeKafkaStorageError)
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TopicNames = 3, []string{"feed"}
	if code := c.ask(req).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode; code != wire.CodeKafkaStorageError {
		t.Errorf("deleting it: error %d, want %d", code, wire.CodeKafkaStorageError)
	}
	c.publish(&shadow{topic: "feed", partition: 1}, makeBatch(9, 1, 100, 0))
}
