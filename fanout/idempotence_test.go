package fanout

import (
	"encoding/binary"
	"testing"
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/wire"
)

// sequenced makes a batch an idempotent producer's.
func sequenced(batch []byte, producer int64, epoch int16, sequence int32) []byte {
	binary.BigEndian.PutUint64(batch[43:], uint64(producer))
	binary.BigEndian.PutUint16(batch[51:], uint16(epoch))
	binary.BigEndian.PutUint32(batch[53:], uint32(sequence))
	return seal(batch)
}

func TestDuplicateIsAnsweredWithItsFirstOffset(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	s := start(t, in)
	c := s.dial()
	c.create("feed", 1)
	send := func(epoch int16, sequence int32, records int) (int64, int16) {
		t.Helper()
		r := c.produce("feed", 0, sequenced(makeBatch(uint64(sequence), records, 10, time.Now().UnixMilli()), 7, epoch, sequence))
		return r.BaseOffset, r.ErrorCode
	}
	expect := func(offset, wantOffset int64, code, wantCode int16) {
		t.Helper()
		if offset != wantOffset || code != wantCode {
			t.Errorf("offset %d error %d, want %d and %d", offset, code, wantOffset, wantCode)
		}
	}
	step := func(epoch int16, sequence int32, wantOffset int64, wantCode int16) {
		t.Helper()
		offset, code := send(epoch, sequence, 10)
		expect(offset, wantOffset, code, wantCode)
	}
	step(0, 0, 0, 0)
	step(0, 10, 10, 0)
	step(0, 0, 0, 0)
	step(0, 10, 10, 0)
	step(0, 30, -1, wire.CodeOutOfOrderSequenceNumber)
	step(0, 20, 20, 0)
	if end := publisherEnd(t, c, "feed"); end != 30 {
		t.Errorf("the log ends at %d", end)
	}
	c.close()
	s.stop()
	s = start(t, in)
	c = s.dial()
	step(0, 20, 20, 0)
	step(0, 40, -1, wire.CodeOutOfOrderSequenceNumber)
	step(0, 30, 30, 0)
	step(1, 0, 40, 0)
	step(0, 40, -1, wire.CodeInvalidProducerEpoch)
	if got := s.stats().Duplicates; got != 1 {
		t.Errorf("%d duplicates are counted since the restart, want 1", got)
	}
}

// librdkafka takes OUT_OF_ORDER_SEQUENCE_NUMBER of its oldest batch for fatal.
func TestProducerGoesOnInATopicThatWasDeletedAndMadeAgain(t *testing.T) {
	dir := t.TempDir()
	in := func(c *Config) { c.DataDir = dir }
	s := start(t, in)
	c := s.dial()
	c.create("feed", 1)
	step := func(sequence int32, wantOffset int64, wantCode int16) {
		t.Helper()
		r := c.produce("feed", 0, sequenced(makeBatch(uint64(sequence), 10, 10, time.Now().UnixMilli()), 7, 0, sequence))
		if r.BaseOffset != wantOffset || r.ErrorCode != wantCode {
			t.Errorf("sequence number %d: offset %d error %d, want %d and %d", sequence, r.BaseOffset, r.ErrorCode, wantOffset, wantCode)
		}
	}
	step(10, -1, wire.CodeOutOfOrderSequenceNumber) // nobody has written to the name before
	step(0, 0, 0)
	step(10, 10, 0)
	for range 2 {
		c.remove("feed")
		c.create("feed", 1)
		step(20, 0, 0)
		step(40, -1, wire.CodeOutOfOrderSequenceNumber)
	}
	c.close()
	s.stop()
	s = start(t, in)
	c = s.dial()
	step(20, 0, 0)
	step(30, 10, 0)
}

// A duplicate of a batch that is on its way to the disk promises no more than the batch itself.
func TestDuplicateWaitsForTheFsyncOfItsFirstCopy(t *testing.T) {
	s, d := startOn(t, commit.Fsync{Always: true})
	first, again := s.dial(), s.dial()
	first.create("feed", 1)
	batch := func() []byte { return sequenced(makeBatch(1, 1, 10, 0), 7, 0, 0) }
	req := produceAll("feed", batch())
	first.send(req)
	d.await(t, 1, 1)
	repeat := produceAll("feed", batch())
	again.send(repeat)
	s.await("the duplicate to wait", func(st Stats) bool { return st.Duplicates == 1 && st.WaitingFetches == 2 })
	d.end(0)
	for c, r := range map[*dialed]int64{first: 0, again: 0} {
		if got := produced(t, c, req, c.next); got.ErrorCode != 0 || got.BaseOffset != r {
			t.Errorf("error %d, offset %d", got.ErrorCode, got.BaseOffset)
		}
	}
}
