package records

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// built is a batch with two records and every field of its header set.
func built() (Batch, []byte) {
	h := NewBatch(2, 1700000000123)
	h.BaseOffset, h.LeaderEpoch, h.Attributes = 1<<40, 7, Transactional
	h.ProducerID, h.ProducerEpoch, h.BaseSequence, h.MaxTimestamp = 77, 5, 9, 1700000000456
	b := make([]byte, HeaderSize)
	b = AppendRecord(b, 0, nil, []byte("value"))
	b = AppendRecord(b, 1, []byte{}, nil)
	Seal(b, h)
	return h, b
}

func TestBuiltBatchesAreThoseThatKafkaReads(t *testing.T) {
	want, raw := built()
	var other kmsg.RecordBatch
	if err := other.ReadFrom(raw); err != nil {
		t.Fatal(err)
	}
	if other.FirstOffset != want.BaseOffset || other.PartitionLeaderEpoch != want.LeaderEpoch || other.Magic != 2 ||
		other.Attributes != int16(want.Attributes) || other.LastOffsetDelta != 1 || other.FirstTimestamp != want.BaseTimestamp ||
		other.MaxTimestamp != want.MaxTimestamp || other.ProducerID != 77 || other.ProducerEpoch != 5 || other.FirstSequence != 9 ||
		other.NumRecords != 2 || int(other.Length) != len(raw)-Overhead {
		t.Errorf("another decoder reads %+v", other)
	}
	h, err := CheckBatch(append(bytes.Clone(raw), "what follows"...))
	if err != nil {
		t.Fatal(err)
	}
	want.Length, want.Magic, want.CRC = h.Length, 2, binary.BigEndian.Uint32(raw[17:])
	if h != want || h.Size() != len(raw) || h.LastOffset() != 1<<40+1 || h.NextOffset() != 1<<40+2 {
		t.Errorf("parsed %+v, want %+v", h, want)
	}
	var got []Record
	r := Reader{Contents: true}
	err = r.Each(h, raw, 1<<20, func(offset, timestamp int64, rec *Record) bool {
		if offset != want.BaseOffset+int64(len(got)) || timestamp != want.BaseTimestamp {
			t.Errorf("record %d has offset %d and time %d", len(got), offset, timestamp)
		}
		got = append(got, *rec)
		return true
	})
	if err != nil || len(got) != 2 || got[0].Key != nil || string(got[0].Value) != "value" || got[1].Key == nil || got[1].Value != nil {
		t.Errorf("the records are %+v: %v", got, err)
	}
}

func TestChangedBatchesKeepTheirCRCRight(t *testing.T) {
	for name, change := range map[string]func(b []byte){
		"offset and epoch": func(b []byte) { Assign(b, 5, 6) },
		"latest time":      func(b []byte) { SetMaxTimestamp(b, 99) },
		"time of append":   func(b []byte) { SetAppendTime(b, 99) },
	} {
		_, raw := built()
		change(raw)
		if _, err := CheckBatch(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		raw[len(raw)-1]++
		if _, err := CheckBatch(raw); !errors.Is(err, ErrCRC) {
			t.Errorf("%s, and a changed byte: %v", name, err)
		}
	}
}

func TestEachEndsWhereItIsToldTo(t *testing.T) {
	h, raw := built()
	h.Length = int32(len(raw) - Overhead)
	n := 0
	var r Reader
	if err := r.Each(h, raw, 1<<20, func(int64, int64, *Record) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d records: %v", n, err)
	}
	h.RecordCount = 9 // the records end before their number says
	n = 0
	if err := r.Each(h, raw, 1<<20, func(int64, int64, *Record) bool { n++; return true }); err != nil || n != 2 {
		t.Errorf("%d records: %v", n, err)
	}
}

func TestPartsOfBatchesAreNotChangedAsBatches(t *testing.T) {
	h, raw := built()
	h.Length = int32(len(raw) - Overhead)
	for name, f := range map[string]func(){
		"a CRC for a part": func() { SetMaxTimestamp(raw[:len(raw)-1], 1) },
		"a CRC for more":   func() { SetAppendTime(append(raw, 0), 1) },
		"reading a part":   func() { _ = new(Reader).Each(h, raw[:len(raw)-1], 1<<20, nil) },
		"no header":        func() { Seal(raw[:10], h) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no assertion failed", name)
				}
			}()
			f()
		}()
	}
}
