package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errIndex: the index file contradicts its segment.
var errIndex = errors.New("segment: the index is wrong")

// encodeIndex is the content of a .index file: for each entry the relative offset and the position, 4 bytes each.
func encodeIndex(entries []indexEntry) []byte {
	b := make([]byte, 0, len(entries)*indexEntryBytes)
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, e.offset)
		b = binary.BigEndian.AppendUint32(b, e.position)
	}
	return b
}

// encodeTimeIndex is the content of a .timeindex file: for each entry the timestamp, 8 bytes, and the relative offset.
func encodeTimeIndex(times []timeEntry) []byte {
	b := make([]byte, 0, len(times)*timeEntryBytes)
	for _, e := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(e.timestamp))
		b = binary.BigEndian.AppendUint32(b, e.offset)
	}
	return b
}

// parseIndex reads a .index file and checks that offsets and positions ascend, and lie within the segment.
func parseIndex(b []byte, segmentBytes int64) ([]indexEntry, error) {
	if len(b)%indexEntryBytes != 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, a multiple of %d was expected", errIndex, len(b), indexEntryBytes)
	}
	entries := make([]indexEntry, 0, len(b)/indexEntryBytes)
	for at := 0; at < len(b); at += indexEntryBytes {
		e := decodeEntry(b[at:])
		if n := len(entries); n > 0 && (e.offset <= entries[n-1].offset || e.position <= entries[n-1].position) {
			return nil, fmt.Errorf("%w: entry %d does not follow the one before", errIndex, n)
		}
		if int64(e.position) >= segmentBytes {
			return nil, fmt.Errorf("%w: entry %d is at %d of a segment of %d bytes", errIndex, len(entries), e.position, segmentBytes)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// parseTimeIndex reads a .timeindex file and checks that timestamps ascend and offsets do not descend.
func parseTimeIndex(b []byte) ([]timeEntry, error) {
	if len(b)%timeEntryBytes != 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, a multiple of %d was expected", errIndex, len(b), timeEntryBytes)
	}
	times := make([]timeEntry, 0, len(b)/timeEntryBytes)
	for at := 0; at < len(b); at += timeEntryBytes {
		e := timeEntry{int64(binary.BigEndian.Uint64(b[at:])), binary.BigEndian.Uint32(b[at+8:])}
		if n := len(times); e.timestamp < 0 || n > 0 && (e.timestamp <= times[n-1].timestamp || e.offset < times[n-1].offset) {
			return nil, fmt.Errorf("%w: time entry %d does not follow the one before", errIndex, n)
		}
		times = append(times, e)
	}
	return times, nil
}

// seal adds the time entry that Kafka adds when a segment or a log is closed.
func (x *index) seal() {
	if x.file == nil {
		x.addTime()
	}
}

// writeIndexFiles writes both index files of a segment. The .index comes last: its presence proves that the segment was synced
// and finished.
func writeIndexFiles(fsys FS, logPath string, entries []indexEntry, times []timeEntry) error {
	if err := putFile(fsys, beside(logPath, timeIndexSuffix), encodeTimeIndex(times)); err != nil {
		return err
	}
	return putFile(fsys, beside(logPath, indexSuffix), encodeIndex(entries))
}
