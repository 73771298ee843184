package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"

	"oneplusn/fanout/commit"
	"oneplusn/segment"
	"oneplusn/segment/mark"
)

// producerIDs hands out ids, none of them twice. A file reserves them in blocks, so that it is written rarely; after a crash
// the rest of a block is never used.
type producerIDs struct {
	log  *slog.Logger
	fs   segment.FS
	path string
	file sharedFile
	next int64 // the id to hand out next
	end  int64 // ids from here on are not reserved yet
}

const (
	// ProducerIDFile holds the id from which on none is in use.
	ProducerIDFile = "producer-id-checkpoint"
	// ProducerIDBlock ids are reserved at a time.
	ProducerIDBlock = 1000
	// maxProducerID is far below the largest number, and out of reach in blocks.
	maxProducerID = 1 << 62
	// producerIDsUnknown is the lowest first id when those in use are unknown. Twice as much is still exact for clients that
	// count in floating point.
	producerIDsUnknown = 1 << 51
)

// open continues above the ids that may be in use. A damaged or lost file stops no start; a fresh directory has none.
func (ids *producerIDs) open(fsys segment.FS, random func([]byte), dir string, fresh bool, jobs jobs, log *slog.Logger) {
	ids.log, ids.fs, ids.path = log, fsys, filepath.Join(dir, ProducerIDFile)
	ids.file = sharedFile{jobs: jobs, snapshot: ids.reserve}
	n, err := readNumber(fsys, ids.path, maxProducerID)
	if fresh && errors.Is(err, fs.ErrNotExist) {
		n, err = 0, nil
	}
	if err != nil {
		var above [8]byte
		random(above[:])
		n = producerIDsUnknown + int64(binary.LittleEndian.Uint64(above[:])%producerIDsUnknown)
		aside, notKept := segment.SetAside(fsys, ids.path)
		log.Error("the producer ids in use are unknown: new ones begin at a random number far above", "error", err, "from", n,
			"kept_as", aside, "not_kept", errorText(notKept))
	}
	ids.next, ids.end = n, n
	write, written := ids.reserve()
	if write() == nil {
		written()
	}
}

// readNumber reads the number from 0 to most that a file holds.
func readNumber(fsys segment.FS, path string, most int64) (int64, error) {
	text, err := segment.ReadFile(fsys, path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s holds %.40q, it must be a number from 0 to %d", path, text, most)
	}
	return n, nil
}

// writeNumber replaces such a file. It blocks.
func writeNumber(fs segment.FS, path string, n int64) error {
	if err := segment.ReplaceFile(fs, path, []byte(strconv.FormatInt(n, 10)+"\n")); err != nil {
		return fmt.Errorf("reserving numbers: %w", err)
	}
	return nil
}

// reserve is the snapshot of the file, with one more block unless the write before had one left.
func (ids *producerIDs) reserve() (write func() error, written func()) {
	if ids.next < ids.end {
		return func() error { return nil }, nil
	}
	end, fs, path, log := ids.end+ProducerIDBlock, ids.fs, ids.path, ids.log
	return func() error {
		err := writeNumber(fs, path, end)
		if err != nil {
			log.Error("producer ids could not be reserved: the next request for one tries again", "error", err, "remedy", commit.StorageRemedy(err))
		}
		return err
	}, func() { ids.end = end }
}

// take calls done with the next id: at once, or when more are reserved. Waiting requests share the reservation.
func (ids *producerIDs) take(done func(id int64, err error)) {
	if ids.next < ids.end {
		ids.next++
		done(ids.next-1, nil)
		return
	}
	ids.file.write(func(err error) {
		if err != nil {
			mark.Hit("no producer id could be reserved")
			done(-1, err)
			return
		}
		ids.take(done)
	})
}
