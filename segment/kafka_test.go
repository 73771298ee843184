package segment

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oneplusn/segment/records"
)

// kafkaDir is a copy of the data directory that a Kafka broker wrote.
func kafkaDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/kafka-4.4")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDirectoryOfAKafkaBrokerOpensAsItIs(t *testing.T) {
	dir := kafkaDir(t)
	clean, err := TakeCleanMark(OS, dir)
	if err != nil || !clean {
		t.Fatalf("the mark of a clean stop: %v, %v", clean, err)
	}
	starts, err := ReadCheckpoint(OS, filepath.Join(dir, LogStartFile))
	if err != nil || len(starts) != 0 {
		t.Fatalf("the start offsets: %v, %v", starts, err)
	}
	for _, c := range []struct {
		partition             string
		end, stable           int64
		segments, producers   int
		records               int
		codecs                string
		aborted               string
		abortedBetween20And30 int
		interval              int64
	}{
		{"codecs-0", 200, 200, 1, 5, 200, "[0 1 2 3 4]", "[]", 0, 4096},
		{"compacted-0", 200, 200, 2, 5, 47, "[0 3 4]", "[]", 0, 500},
		{"transactions-0", 47, 45, 1, 3, 47, "[0 2]", "[{5 5 9} {5 20 23} {5 35 38}]", 1, 500},
	} {
		t.Run(c.partition, func(t *testing.T) {
			o := Options{IndexIntervalBytes: c.interval}
			r, err := Check(filepath.Join(dir, c.partition), o, OpenOptions{Clean: true}, nil)
			if err != nil || r.State != StateOK || len(r.Problems) > 0 {
				t.Errorf("check says %+v, %v", r, err)
			}
			l := openLog(t, filepath.Join(dir, c.partition), Options{}, OpenOptions{Clean: true})
			if l.HighWatermark() != c.end || l.LastStableOffset() != c.stable {
				t.Errorf("high watermark %d, last stable offset %d, Kafka said %d and %d", l.HighWatermark(), l.LastStableOffset(), c.end, c.stable)
			}
			if len(l.segments) != c.segments || len(l.producers.byID) != c.producers {
				t.Errorf("%d segments, %d producers", len(l.segments), len(l.producers.byID))
			}
			n, codecs := 0, map[records.Codec]bool{}
			for _, h := range readAll(t, l, 0, 300) {
				n += int(h.RecordCount)
				codecs[h.Attributes.Codec()] = true
			}
			var list []int
			for codec := range 8 {
				if codecs[records.Codec(codec)] {
					list = append(list, codec)
				}
			}
			if n != c.records || fmt.Sprint(list) != c.codecs {
				t.Errorf("%d records with the codecs %v", n, list)
			}
			if got := fmt.Sprint(l.Aborted(nil, 0, c.end)); got != c.aborted {
				t.Errorf("the aborted transactions are %s, want %s", got, c.aborted)
			}
			if got := l.Aborted(nil, 20, 30); len(got) != c.abortedBetween20And30 {
				t.Errorf("between 20 and 30 they are %v", got)
			}
			if l.TopicID() == [16]byte{} || l.LeaderEpoch() != 0 {
				t.Errorf("topic id %v, epoch %d", l.TopicID(), l.LeaderEpoch())
			}
			if a := mustAppend(t, l, testBatch{}); a.BaseOffset != c.end {
				t.Errorf("an append gets offset %d", a.BaseOffset)
			}
		})
	}
}

// TestRebuiltIndexesAreThoseThatKafkaWrote has a real broker's files to compare with.
func TestRebuiltIndexesAreThoseThatKafkaWrote(t *testing.T) {
	dir := kafkaDir(t)
	for partition, interval := range map[string]int64{"codecs-0": 4096, "transactions-0": 500, "compacted-0": 500} {
		before := map[string][]byte{}
		paths, err := filepath.Glob(filepath.Join(dir, partition, "*index"))
		if err != nil || len(paths) < 2 {
			t.Fatalf("the indexes are %v, %v", paths, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, txnIndexSuffix) {
				continue
			}
			if before[path], err = os.ReadFile(path); err == nil {
				err = os.Remove(path)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, openLog(t, filepath.Join(dir, partition), Options{IndexIntervalBytes: interval}, OpenOptions{Clean: true}))
		for path, want := range before {
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s/%s is %x, Kafka wrote %x (%v)", partition, filepath.Base(path), got, want, err)
			}
		}
	}
}

// TestRebuiltTransactionIndexIsThatOfKafka: without it readers of committed data would get records that were taken back.
func TestRebuiltTransactionIndexIsThatOfKafka(t *testing.T) {
	dir := filepath.Join(kafkaDir(t), "transactions-0")
	path := filePath(dir, 0, txnIndexSuffix)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{IndexIntervalBytes: 500}
	for name, spoil := range map[string]func() error{
		"missing": func() error { return os.Remove(path) },
		"short":   func() error { return os.WriteFile(path, want[:2*txnEntryBytes], 0o600) },
		"cut":     func() error { return os.WriteFile(path, want[:50], 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		r, err := Check(dir, o, OpenOptions{Clean: true}, nil)
		if err != nil || r.State != StateDamaged || len(r.Problems) != 1 {
			t.Errorf("%s: check says %+v, %v", name, r, err)
		}
		if _, err := Repair(dir, o, OpenOptions{Clean: true}, Repairs{RebuildIndexes: true}, nil); err != nil {
			t.Errorf("%s: repair: %v", name, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: rebuilt as %x, Kafka wrote %x (%v)", name, got, want, err)
		}
		if r, err := Check(dir, o, OpenOptions{Clean: true}, nil); err != nil || r.State != StateOK {
			t.Errorf("%s: check after the repair says %+v, %v", name, r, err)
		}
	}
}

func TestSnapshotsThatKafkaWroteReadBackByteForByte(t *testing.T) {
	paths, err := filepath.Glob("testdata/kafka-4.4/*/*.snapshot")
	if err != nil || len(paths) < 3 {
		t.Fatalf("the snapshots are %v, %v", paths, err)
	}
	for _, path := range paths {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := parseSnapshot(want)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		ps := newProducers(100)
		ps.load(list, func(_, said int64) int64 { return said })
		if got := ps.encode(); !bytes.Equal(got, want) {
			t.Errorf("%s is written as %x, Kafka wrote %x", path, got, want)
		}
	}
}
