package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"oneplusn/segment/records"
)

// damage is done, between a kill and the next start, to the end of a log that was neither acknowledged nor read.
type damage int

const (
	cutShort  damage = iota // it ends somewhere in its middle
	flipped                 // one of its bits is inverted
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
	// acked is the end of the last batch that was acknowledged or read, valid that of the last valid one.
	acked, valid int64
}

func lastSegment(dir string, s *stream) (*tail, error) {
	files, err := filepath.Glob(filepath.Join(dir, s.String(), "*.log"))
	if err != nil || len(files) == 0 {
		return nil, err
	}
	t := &tail{path: slices.Max(files)}
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
		if h.LastOffset() <= last {
			t.acked = t.valid
		}
	}
	return t, nil
}

// tear counts the torn tails that the kill left, and makes one more in the log of a raw producer, which no longer waits for
// an acknowledgement.
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
			h.natural++
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
		kind = halfBatch // everything was acknowledged
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
	h.injected[kind]++
	return err
}
