package fanout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
	"oneplusn/segment"
)

// stopped is a directory with topics of three partitions, feed and other, of some records each, after a clean stop.
func stopped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	for _, topic := range []string{"feed", "other"} {
		c.create(topic, 3)
		for i := range int32(3) {
			c.publish(&shadow{topic: topic, partition: i}, makeBatch(1, 2, 10, time.Now().UnixMilli()))
		}
	}
	c.close()
	s.stop()
	return dir
}

// codes are the errors of an append to each partition of feed; the other topic takes records whatever they are.
func (c *dialed) codes() (codes [3]int16) {
	c.t.Helper()
	for i := range codes {
		codes[i] = c.produce("feed", int32(i), makeBatch(2, 1, 10, time.Now().UnixMilli())).ErrorCode
		if code := c.produce("other", int32(i), makeBatch(2, 1, 10, time.Now().UnixMilli())).ErrorCode; code != 0 {
			c.t.Errorf("partition %d of the other topic: error %d", i, code)
		}
	}
	return codes
}

// Whatever one file of a partition or a topic is like, the others are served, and the log names the file.
func TestNoFileOfOnePartitionOrTopicStopsTheStart(t *testing.T) {
	const bad = wire.CodeKafkaStorageError
	write := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	instead := func(name string) func(*testing.T, string) { // a directory in place of a file
		return func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, name, "x"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	const log = "00000000000000000000.log"
	template := stopped(t)
	for i, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		codes [3]int16
		says  string
	}{
		{"epochs", write("feed-1/leader-epoch-checkpoint", "x"), [3]int16{}, "feed-1/leader-epoch-checkpoint"},
		{"id", write("feed-1/partition.metadata", "x"), [3]int16{}, "feed-1/partition.metadata"},
		{"epochs are a directory", instead("feed-1/leader-epoch-checkpoint"), [3]int16{}, "feed-1/leader-epoch-checkpoint"},
		{"id is a directory", instead("feed-1/partition.metadata"), [3]int16{}, "feed-1/partition.metadata"},
		{"configuration", write("feed-0/topic.properties", "x"), [3]int16{bad, bad, bad}, "feed-0/topic.properties"},
		{"configuration is a directory", instead("feed-0/topic.properties"), [3]int16{bad, bad, bad}, "feed-0/topic.properties"},
		{"log is a directory", instead("feed-1/" + log), [3]int16{0, bad, 0}, "feed-1/" + log},
		{"no log", func(t *testing.T, dir string) { _ = os.RemoveAll(filepath.Join(dir, "feed-1")) }, [3]int16{0, bad, 0}, "feed-1"},
		{"no first log", func(t *testing.T, dir string) { _ = os.RemoveAll(filepath.Join(dir, "feed-0")) }, [3]int16{bad, 0, 0}, "feed-0"},
		{"snapshot", write("feed-1/00000000000000000002.snapshot", "x"), [3]int16{}, "snapshot"},
		{"a file that is named like a partition", write("feed-3", "x"), [3]int16{}, ""},
		{"an empty directory far away", instead("feed-70000"), [3]int16{}, "feed-70000"},
		{"a directory that is named like a partition of its own", instead("stray-5"), [3]int16{}, "stray-5"},
		{"starts of logs", write(segment.LogStartFile, "0\n7\nx"), [3]int16{}, segment.LogStartFile},
		{"recovery points", write(segment.RecoveryPointFile, "0\n7\nx"), [3]int16{}, segment.RecoveryPointFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, dir)
			if i%2 == 1 {
				crash(t, dir)
			}
			s := start(t, func(config *Config) { config.DataDir = dir })
			client := s.dial()
			if codes := client.codes(); codes != c.codes {
				t.Errorf("the partitions of the topic answer %v, want %v\n%s", codes, c.codes, s.log)
			}
			if !strings.Contains(s.log.String(), c.says) {
				t.Errorf("the log does not name %s:\n%s", c.says, s.log)
			}
			client.close()
			s.stop()
		})
	}
}

// A start that cannot read the recovery points cuts nothing, nor does the one after it.
func TestRefusedPartitionStaysRefusedWhateverIsKnown(t *testing.T) {
	dir := stopped(t)
	crash(t, dir)
	if err := os.Remove(filepath.Join(dir, segment.RecoveryPointFile)); err != nil { // as an older version leaves it
		t.Fatal(err)
	}
	path := partitionLog(dir, "feed-1")
	rewriteFile(t, path, func(b []byte) []byte {
		again := append([]byte(nil), b...)
		again[7] = 2 // the same batch behind the first, which is damaged
		b[70] ^= 1
		return append(b, again...)
	})
	for round := range 3 {
		s := start(t, func(c *Config) { c.DataDir = dir })
		c := s.dial()
		if codes := c.codes(); codes != [3]int16{0, wire.CodeKafkaStorageError, 0} {
			t.Errorf("round %d: the partitions answer %v", round, codes)
		}
		c.close()
		s.stop()
	}
}

// The recovery points follow the logs while they are served, and at the stop.
func TestRecoveryPointsFollowWhatIsDurable(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(c *Config) {
		c.DataDir, c.Fsync = dir, commit.Fsync{Always: true}
		c.pace.checkpoint = 1
	})
	c := s.dial()
	c.create("feed", 2)
	c.publish(&shadow{topic: "feed"}, makeBatch(1, 1, 10, time.Now().UnixMilli()))
	path := filepath.Join(dir, segment.RecoveryPointFile)
	var points map[string]int64
	if !eventually(func() bool { points, _ = segment.ReadCheckpoint(segment.OS, path); return points["feed-0"] == 1 }) {
		t.Errorf("the recovery points are %v", points)
	}
	c.close()
	s.stop()
	points, err := segment.ReadCheckpoint(segment.OS, path)
	if err != nil || points["feed-0"] != 1 || len(points) != 2 {
		t.Errorf("after the stop the recovery points are %v, %v", points, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "feed-0", "acks-after-fsync")); err != nil {
		t.Errorf("acknowledgements wait for syncs, and there is no mark: %v", err)
	}
	// Under another policy the mark has nothing left to say.
	s = start(t, func(c *Config) { c.DataDir, c.Fsync = dir, commit.Fsync{} })
	c = s.dial()
	c.publish(&shadow{topic: "feed", end: 1}, makeBatch(9, 1, 10, time.Now().UnixMilli()))
	gone := func() bool {
		_, err := os.Stat(filepath.Join(dir, "feed-0", "acks-after-fsync"))
		return os.IsNotExist(err)
	}
	if !eventually(gone) {
		t.Error("the mark is still there")
	}
}
