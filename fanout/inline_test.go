package fanout

import (
	"syscall"
	"testing"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
)

// Whether a write runs on the loop or off it, acknowledged records are stored, and a failure is reported.
func TestWritesOnTheLoopAndOffItDoTheSame(t *testing.T) {
	for _, fsync := range []commit.Fsync{{}, {Always: true}} {
		disk := &faultyFS{FS: segment.OS}
		s := start(t, func(c *Config) { c.Log.FS, c.Fsync, c.pace.inlineWrites = disk, fsync, true })
		c := s.dial()
		c.create("feed", 1)
		log := &shadow{topic: "feed"}
		isInline := func() (inline bool) {
			s.onLoop(func(b *Broker) { inline = b.committer.Stats().InlineWrites > 0 })
			return inline
		}
		if !eventually(func() bool { c.publish(log, makeBatch(uint64(log.end), 1, 100, 0)); return isInline() }) {
			t.Fatal("no write stays on the loop")
		}
		for i := range 20 {
			c.publish(log, makeBatch(uint64(i), 1, 100, 0))
		}
		disk.fail("feed-0", syscall.ENOSPC, false)
		if r := c.produce("feed", 0, makeBatch(1, 1, 100, 0)); r.ErrorCode != 56 {
			t.Errorf("error %d, want 56", r.ErrorCode)
		}
		disk.fail("", nil, false)
		for i := range 20 {
			c.publish(log, makeBatch(uint64(i), 1, 100+i*10_000, 0)) // the large ones go elsewhere
		}
		if err := s.dial().readAll(11, []*shadow{log}); err != nil {
			t.Error(err)
		}
	}
}
