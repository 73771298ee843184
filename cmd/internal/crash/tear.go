package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"oneplusn/segment/records"
)

// damage is what is done to the end of a log that was neither acknowledged nor read by anyone,
// between a kill and the next start.
type damage int

const (
	cutShort  damage = iota // what was not acknowledged ends somewhere in its middle
	flipped                 // one of its bits is another
	halfBatch               // the beginning of a batch was written, the rest was not
	zeros                   // the file grew, its content did not reach the disk
	damages
)

func (d damage) String() string {
	return [damages]string{"cut short", "bit flipped", "half a batch", "zeros"}[d]
}

// tail is the end of the last segment of a log.
type tail struct {
	path string
	size int64
	// acked is where the last batch ends that was acknowledged or read, valid where the last valid one does.
	acked, valid int64
	next         int64 // the offset behind the last valid batch
}

func lastSegment(dir string, s *stream) (*tail, error) {
	files, err := filepath.Glob(filepath.Join(dir, s.String(), "*.log"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	t := &tail{path: slices.Max(files)}
	if _, err := fmt.Sscanf(filepath.Base(t.path), "%d.log", &t.next); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(t.path)
	if err != nil {
		return nil, err
	}
	t.size = int64(len(raw))
	for last := s.lastPromised(); t.valid < t.size; {
		h, err := records.CheckBatch(raw[t.valid:])
		if err != nil {
			break
		}
		t.valid += int64(h.Size())
		t.next = h.NextOffset()
		if h.LastOffset() <= last {
			t.acked = t.valid
		}
	}
	return t, nil
}

// tear counts the torn tails that the kill left by itself, and makes one more: only producers that send by hand are
// chosen, because no acknowledgement is on its way to them any more.
func (h *harness) tear(dir string, streams []*stream) error {
	victim := streams[h.random.IntN(rawStreams)]
	for _, s := range streams {
		t, err := lastSegment(dir, s)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		if t.valid < t.size {
			h.counts.natural++
			if t.valid < t.acked {
				return fmt.Errorf("%s: an acknowledged batch is torn at %d", t.path, t.valid)
			}
		}
		if s == victim && t.valid == t.size {
			if err := h.damage(s, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *harness) damage(s *stream, t *tail) error {
	kind := damage(h.random.IntN(int(damages)))
	if t.acked == t.size && (kind == cutShort || kind == flipped) {
		kind = halfBatch // everything there was acknowledged
	}
	f, err := os.OpenFile(t.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	switch kind {
	case cutShort:
		err = f.Truncate(t.acked + 1 + h.random.Int64N(t.size-t.acked-1))
	case flipped:
		at := t.acked + h.random.Int64N(t.size-t.acked)
		var b [1]byte
		if _, err = f.ReadAt(b[:], at); err == nil {
			b[0] ^= 1 << h.random.IntN(8)
			_, err = f.WriteAt(b[:], at)
		}
	case halfBatch:
		var batch []byte
		// A number that no producer will use: were the batch ever read, the next record would be out of order.
		if batch, err = makeBatch(s.id, 1<<40, 3, 5000, 0); err == nil {
			_, err = f.WriteAt(batch[:1+h.random.IntN(len(batch)-1)], t.size)
		}
	case zeros:
		err = f.Truncate(t.size + 1 + h.random.Int64N(100_000))
	}
	h.counts.injected[kind]++
	return err
}
