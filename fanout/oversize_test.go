package fanout

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"oneplusn/fanout/transfer"
)

// A log that has a batch larger than its segments may be is served whatever moves it: an older directory, or one whose
// segment.bytes was larger.
func TestBatchLargerThanItsSegmentsIsServed(t *testing.T) {
	for _, mode := range transfer.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			log := &shadow{topic: "feed"}
			var raw []byte
			for i := range 4 {
				log.add(makeBatch(uint64(i), 1, 100+(i%2)*1_500_000, 0), int64(i))
				raw = append(raw, log.batches[i]...)
			}
			path := filepath.Join(dir, "feed-0", "00000000000000000000.log")
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s := start(t, func(c *Config) {
				c.DataDir, c.Log.SegmentBytes, c.Log.MaxBatchBytes = dir, 1<<20, 1<<20
				c.Transfer.Mode, c.Transfer.CopyBytes = mode, c.Transfer.ChunkBytes
			})
			c := s.dial()
			check := func() {
				t.Helper()
				for offset := range log.end {
					got := c.fetchOne(11, wanted{topic: "feed", offset: offset, maxBytes: 200})
					if err := checkAnswer(log, got.RecordBatches, offset, 200); err != nil {
						t.Fatal(err)
					}
					all := c.fetchOne(11, wanted{topic: "feed", offset: offset, maxBytes: 50 << 20})
					if err := checkAnswer(log, all.RecordBatches, offset, 50<<20); err != nil {
						t.Fatal(err)
					}
				}
			}
			check()
			// Lowered while the segment is mapped, with one more batch in it.
			if code, message := c.alter("feed", map[string]string{"segment.bytes": "16384"}, false); code != 0 {
				t.Fatal(code, message)
			}
			for i := range 3 {
				c.publish(log, makeBatch(uint64(i), 1, 10_000, 0))
			}
			check()
			if turns := s.stats().Turns; turns > 10_000 {
				t.Errorf("the loop turned %d times", turns)
			}
		})
	}
}

// The last release of a deleted topic's large file does not wait for the close, and no client does.
func TestLastReaderOfADeletedTopicHoldsNobodyUp(t *testing.T) {
	disk := newGateFS()
	s := start(t, func(c *Config) { c.Log.FS = disk })
	c, slow := s.dial(), s.dialSlow()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for i := range 20 {
		c.publish(log, makeBatch(uint64(i), 1, 900_000, 0))
	}
	slow.send(fetchRequest(11, everything(log))) // and reads nothing: the response holds the segment
	s.await("the response to begin", func(st Stats) bool { return st.Ledger.ByReferenceBytes+st.Ledger.CacheToSocketBytes > 0 })
	closing := disk.hold("close", ".log")
	defer closing.release()
	c.remove("feed")
	slow.close()
	closing.await(t)
	for i := range 10 {
		c.create(fmt.Sprint("other-", i), 1)
	}
	closing.release()
}
