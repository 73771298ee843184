package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// errIndex: the index file contradicts its segment.
var errIndex = errors.New("segment: the index is wrong")

// encodeEntries is the content of an index file.
func encodeEntries[T interface{ appendTo(b []byte) []byte }](entries []T) (b []byte) {
	for _, e := range entries {
		b = e.appendTo(b)
	}
	return b
}

func (e indexEntry) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, e.offset), e.position)
}

func (e timeEntry) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(e.timestamp)), e.offset)
}

// parseEntries reads an index file, whose entries have a size. next decodes one and checks that it follows those before it.
func parseEntries[T any](b []byte, size int, next func(b []byte, before []T) (T, error)) ([]T, error) {
	if len(b)%size != 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, a multiple of %d was expected", errIndex, len(b), size)
	}
	entries := make([]T, 0, len(b)/size)
	for part := range slices.Chunk(b, size) {
		e, err := next(part, entries)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parseIndex reads a .index file and checks that offsets and positions ascend, and lie within the segment.
func parseIndex(b []byte, segmentBytes int64) ([]indexEntry, error) {
	return parseEntries(b, indexEntryBytes, func(b []byte, before []indexEntry) (indexEntry, error) {
		e, n := decodeEntry(b), len(before)
		switch {
		case n > 0 && (e.offset <= before[n-1].offset || e.position <= before[n-1].position):
			return e, fmt.Errorf("%w: entry %d does not follow the one before", errIndex, n)
		case int64(e.position) >= segmentBytes:
			return e, fmt.Errorf("%w: entry %d is at %d of a segment of %d bytes", errIndex, n, e.position, segmentBytes)
		}
		return e, nil
	})
}

// parseTimeIndex reads a .timeindex file and checks that timestamps ascend and offsets do not descend.
func parseTimeIndex(b []byte) ([]timeEntry, error) {
	return parseEntries(b, timeEntryBytes, func(b []byte, before []timeEntry) (timeEntry, error) {
		e := timeEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
		if n := len(before); e.timestamp < 0 || n > 0 && (e.timestamp <= before[n-1].timestamp || e.offset < before[n-1].offset) {
			return e, fmt.Errorf("%w: time entry %d does not follow the one before", errIndex, n)
		}
		return e, nil
	})
}

// seal adds the time entry that Kafka adds when a segment or a log is closed.
func (x *index) seal() {
	if x.file == nil {
		x.addTime()
	}
}

// writeIndexFiles writes both index files of a segment. The .index comes last: its presence proves that the segment was synced
// and finished.
func writeIndexFiles(fsys FS, logPath string, x *index) error {
	if err := putFile(fsys, beside(logPath, timeIndexSuffix), encodeEntries(x.times)); err != nil {
		return err
	}
	return putFile(fsys, beside(logPath, indexSuffix), encodeEntries(x.entries))
}
