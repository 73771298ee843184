package load

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"oneplusn/segment/records"
)

// published is a stream of n batches as a server would send them, offsets assigned.
func published(t *testing.T, n int) []byte {
	t.Helper()
	source, err := NewRecords(100, 2000, nil)
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	next := int64(0)
	for range n {
		batch, count, err := source.Next(1)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := records.CheckBatch(batch); err != nil || int(h.RecordCount) != count || h.Size() != len(batch) {
			t.Fatalf("the log would refuse this batch: %v, %+v", err, h)
		}
		for i := range 8 {
			batch[i] = byte(next >> (56 - 8*i))
		}
		next += int64(count)
		stream = append(stream, batch...)
	}
	return stream
}

func TestCheckerTakesAStreamInPiecesOfAnySize(t *testing.T) {
	stream := published(t, 5)
	for piece := 1; piece < 200; piece++ {
		var c checker
		for at := 0; at < len(stream); at += piece {
			if err := c.feed(stream[at:min(at+piece, len(stream))]); err != nil {
				t.Fatalf("pieces of %d: %v", piece, err)
			}
		}
		if !c.whole() || c.batches != 5 {
			t.Fatalf("pieces of %d: %d batches, whole %v", piece, c.batches, c.whole())
		}
	}
}

func TestCheckerFindsEveryFlippedBit(t *testing.T) {
	stream := published(t, 2)
	first, err := records.ParseBatch(stream)
	if err != nil {
		t.Fatal(err)
	}
	// The second batch is there to show what follows damage.
	for at := range first.Size() {
		if at >= 12 && at < 16 {
			continue // the leader epoch: the server sets it, and the checker ignores it
		}
		damaged := bytes.Clone(stream)
		damaged[at] ^= 0x10
		var c checker
		err := c.feed(damaged)
		if err == nil && c.whole() && c.batches == 2 {
			t.Fatalf("byte %d was changed and the checker found nothing", at)
		}
	}
}

func TestCheckerFindsGapsAndCuts(t *testing.T) {
	stream := published(t, 3)
	h, err := records.ParseBatch(stream)
	if err != nil {
		t.Fatal(err)
	}
	var gap checker
	if err := gap.feed(append(bytes.Clone(stream[:h.Size()]), stream[2*h.Size():]...)); !errors.Is(err, ErrWrongBytes) {
		t.Errorf("a missing batch gave %v", err)
	}
	var cut checker
	if err := cut.feed(stream[:len(stream)-1]); err != nil || cut.whole() {
		t.Errorf("a cut stream: %v, whole %v", err, cut.whole())
	}
}

func TestBatchesBeforeTheOneAskedForAreSkipped(t *testing.T) {
	stream := published(t, 3)
	h, err := records.ParseBatch(stream)
	if err != nil {
		t.Fatal(err)
	}
	perBatch, size := h.NextOffset(), h.Size()
	ask := func(offset int64, response []byte) (checker, error) {
		c := checker{next: offset}
		c.fresh = true
		return c, c.feed(response)
	}
	c, err := ask(2*perBatch, stream)
	if err != nil || c.batches != 1 || c.next != 3*perBatch || !c.whole() {
		t.Errorf("%d batches up to %d: %v", c.batches, c.next, err)
	}
	if exact, err := ask(2*perBatch, stream[2*size:]); err != nil || exact.digest != c.digest {
		t.Errorf("what was skipped counts: %v", err)
	}
	c.fresh = true
	if err := c.feed(stream[:size]); err != nil || c.next != 3*perBatch || c.batches != 1 {
		t.Errorf("after a response with nothing to keep %d batches up to %d: %v", c.batches, c.next, err)
	}
	// Skipped batches must have no gap either, and only the start of a response is skipped.
	if _, err := ask(2*perBatch, append(bytes.Clone(stream[:size]), stream[2*size:]...)); !errors.Is(err, ErrWrongBytes) {
		t.Errorf("a gap among skipped batches gave %v", err)
	}
	if _, err := ask(perBatch, append(bytes.Clone(stream[size:2*size]), stream...)); !errors.Is(err, ErrWrongBytes) {
		t.Errorf("earlier batches behind later ones gave %v", err)
	}
	if _, err := ask(perBatch+1, stream); !errors.Is(err, ErrWrongBytes) {
		t.Errorf("a batch around the requested offset gave %v", err)
	}
}

func TestContentOfAFileComesBackInRecords(t *testing.T) {
	content := bytes.Repeat([]byte("line of a file\n"), 1000)
	source, err := NewRecords(333, 4096, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for {
		batch, n, err := source.Next(7)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := records.CheckBatch(batch); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if want := (len(content) + 332) / 333; total != want {
		t.Errorf("%d records, want %d", total, want)
	}
	if _, err := NewRecords(5000, 4096, nil); err == nil {
		t.Error("records larger than their batch were not refused")
	}
}

func TestLayoutTellsTheOffsetBehindSoManyBytes(t *testing.T) {
	var l Layout
	l.add(100, 10, 1000)
	l.add(110, 5, 500)
	for bytes, want := range map[int64][2]int64{0: {100, 0}, 999: {100, 0}, 1000: {110, 1000}, 1499: {110, 1000}, 1500: {115, 1500}} {
		if offset, position := l.after(bytes); offset != want[0] || position != want[1] {
			t.Errorf("%d bytes: offset %d at %d, want %v", bytes, offset, position, want)
		}
	}
}
