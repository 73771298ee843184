package segment

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"oneplusn/segment/records"
)

// kafkaIndexes are the indexes that Apache Kafka's LogSegment.append and onBecomeInactiveSegment write for these batches, stated
// again and differently: bytes since the last entry are counted.
func kafkaIndexes(batches []records.Batch, base, interval int64) (index, timeIndex []byte) {
	since, position := int64(0), int64(0)
	latest, latestOffset, lastTime := int64(-1), int64(0), int64(-1)
	noteTime := func() {
		if latest > lastTime {
			timeIndex = binary.BigEndian.AppendUint64(timeIndex, uint64(latest))
			timeIndex = binary.BigEndian.AppendUint32(timeIndex, uint32(latestOffset-base))
			lastTime = latest
		}
	}
	for _, h := range batches {
		if h.MaxTimestamp > latest {
			latest, latestOffset = h.MaxTimestamp, h.LastOffset()
		}
		if since > interval {
			index = binary.BigEndian.AppendUint32(index, uint32(h.LastOffset()-base))
			index = binary.BigEndian.AppendUint32(index, uint32(position))
			noteTime()
			since = 0
		}
		position += int64(h.Size())
		since += int64(h.Size())
	}
	noteTime()
	return index, timeIndex
}

func TestIndexFilesAreThoseOfKafka(t *testing.T) {
	rng := newRand(t, 3)
	dir := t.TempDir()
	o := Options{SegmentBytes: 20_000, IndexIntervalBytes: 512}
	l := openLog(t, dir, o, OpenOptions{})
	for i := range 1000 {
		// Times that go back, and stay the same.
		mustAppend(t, l, testBatch{records: 1 + rng.IntN(4), timestamp: 1000 + int64(i/3) - int64(rng.IntN(50)), value: rng.IntN(100)})
		if rng.IntN(3) == 0 {
			runWork(l)
		}
	}
	mustClose(t, l)
	l = openLog(t, dir, o, OpenOptions{Clean: true})
	all := readAll(t, l, 0, 1<<20)
	segments := l.segments
	mustClose(t, l)
	if len(segments) < 5 {
		t.Fatalf("there are %d segments, the test needs more", len(segments))
	}
	for _, s := range segments {
		var batches []records.Batch
		for _, h := range all {
			if h.BaseOffset >= s.base && h.BaseOffset < s.next {
				batches = append(batches, h)
			}
		}
		index, timeIndex := kafkaIndexes(batches, s.base, 512)
		for suffix, want := range map[string][]byte{indexSuffix: index, timeIndexSuffix: timeIndex} {
			got, err := os.ReadFile(beside(s.path, suffix))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s%s has %x, want %x (%v)", filepath.Base(s.path), suffix, got, want, err)
			}
		}
	}
}

func TestWrongIndexesAreRefused(t *testing.T) {
	good := encodeEntries([]indexEntry{{5, 100}, {9, 200}})
	if list, err := parseIndex(good, 300); err != nil || len(list) != 2 || list[1] != (indexEntry{9, 200}) {
		t.Fatalf("a good index gives %v, %v", list, err)
	}
	for name, b := range map[string][]byte{
		"cut":                 good[:15],
		"preallocated":        append(bytes.Clone(good), make([]byte, 80)...),
		"offsets that shrink": encodeEntries([]indexEntry{{5, 100}, {5, 200}}),
		"positions that do":   encodeEntries([]indexEntry{{5, 100}, {9, 100}}),
		"behind the segment":  encodeEntries([]indexEntry{{5, 300}}),
	} {
		if _, err := parseIndex(b, 300); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, b := range map[string][]byte{
		"cut":                     encodeEntries([]timeEntry{{5, 1}})[:11],
		"times that do not grow":  encodeEntries([]timeEntry{{5, 1}, {5, 2}}),
		"offsets that shrink":     encodeEntries([]timeEntry{{5, 2}, {6, 1}}),
		"a time before the epoch": encodeEntries([]timeEntry{{-1, 1}}),
	} {
		if _, err := parseTimeIndex(b); err == nil {
			t.Errorf("time index with %s: no error", name)
		}
	}
}
