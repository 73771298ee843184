package fanout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// openTransactionAt puts a topic into a data directory as a Kafka broker leaves it: 300 batches of one record, one of
// them, and only that one, of a transaction that nobody ended.
func openTransactionAt(t *testing.T, dataDir string, offset int64) *shadow {
	t.Helper()
	log := &shadow{topic: "feed"}
	var raw []byte
	for i := range int64(300) {
		batch := makeBatch(uint64(i), 1, 500, i)
		if i == offset {
			binary.BigEndian.PutUint16(batch[21:], 1<<4) // transactional
			binary.BigEndian.PutUint64(batch[43:], 9)    // producer id
			binary.BigEndian.PutUint16(batch[51:], 0)    // its epoch
			binary.BigEndian.PutUint32(batch[53:], 0)    // base sequence
			seal(batch)
		}
		log.add(batch, i)
		raw = append(raw, log.batches[i]...)
	}
	dir := filepath.Join(dataDir, "feed-0")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000000.log"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return log
}

// dropLog takes the pages of a partition's segments out of the page cache.
func dropLog(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("the segments are %v, %v", paths, err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err == nil {
			err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
			_ = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// skipTo drops the batches before the one that contains the offset, as every consumer does: a server sends them where
// it would have to wait for a disk to find that one.
func skipTo(raw []byte, offset int64) []byte {
	for len(raw) > 12 {
		size := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		next, err := offsetAfter(raw[:min(size, len(raw))])
		if err != nil || next > offset {
			break
		}
		raw = raw[size:]
	}
	return raw
}

// Readers of committed data get every batch before the first open transaction, and then wait: nothing is sent again, and
// the loop stands still.
func TestReadersOfCommittedDataWaitBeforeAnOpenTransaction(t *testing.T) {
	for _, place := range []struct {
		name string
		dir  func(t *testing.T) string
		cold bool
	}{
		{"in memory", func(t *testing.T) string { return t.TempDir() }, false},
		{"cold", func(t *testing.T) string { return t.TempDir() }, true},
		{"on tmpfs", func(t *testing.T) string { return smallDisk(t, "size=16m") }, false},
		{"on overlay", overlay, false},
		{"cold on overlay", overlay, true},
	} {
		// In the middle of an index interval, the very first batch, and the very last.
		for _, stable := range []int64{150, 0, 299} {
			t.Run(fmt.Sprintf("%s from %d", place.name, stable), func(t *testing.T) {
				dir := place.dir(t)
				log := openTransactionAt(t, dir, stable)
				s := start(t, func(c *Config) { c.DataDir = dir })
				c := s.dial()
				ask := func(offset int64, maxWaitMillis int32) kmsg.FetchResponseTopicPartition {
					if place.cold {
						dropLog(t, filepath.Join(dir, "feed-0"))
					}
					req := waitingFetch("feed", 0, offset, maxWaitMillis)
					req.IsolationLevel = 1 // read_committed
					p := c.ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
					if p.ErrorCode != 0 || p.LastStableOffset != stable || p.HighWatermark != 300 {
						t.Fatalf("at %d: error %d, stable up to %d of %d", offset, p.ErrorCode, p.LastStableOffset, p.HighWatermark)
					}
					return p
				}
				for offset := int64(0); offset < stable; offset += 7 {
					want := bytes.Join(log.batches[offset:stable], nil)
					if got := skipTo(ask(offset, longMillis).RecordBatches, offset); !bytes.Equal(got, want) {
						t.Fatalf("at %d: %d bytes came, want the %d up to the open transaction", offset, len(got), len(want))
					}
				}
				for _, offset := range []int64{stable, 300} {
					before := s.stats().Turns
					if got := ask(offset, 20).RecordBatches; len(got) > 0 {
						t.Errorf("at %d: %d bytes came that are not stable", offset, len(got))
					}
					if turns := s.stats().Turns - before; turns > 20 {
						t.Errorf("at %d: the loop turned %d times while the fetch waited", offset, turns)
					}
				}
			})
		}
	}
}
