package segment

import (
	"encoding/binary"
	"errors"
	"testing"
)

// change is a batch with something written over it, and the CRC that goes with that.
func change(b testBatch, f func([]byte)) []byte {
	raw := b.encode()
	f(raw)
	return seal(raw)
}

func TestBatchFieldsSurviveParsing(t *testing.T) {
	raw := testBatch{base: 1 << 40, records: 3, timestamp: 1700000000123, value: 10, producer: 77, epoch: 5, sequence: 9}.encode()
	h, err := CheckBatch(append(raw, "what follows"...))
	if err != nil {
		t.Fatal(err)
	}
	want := Batch{BaseOffset: 1 << 40, Length: int32(len(raw) - 12), Magic: 2, CRC: binary.BigEndian.Uint32(raw[17:]), LastOffsetDelta: 2,
		BaseTimestamp: 1700000000123, MaxTimestamp: 1700000000123, ProducerID: 77, ProducerEpoch: 5, BaseSequence: 9, RecordCount: 3}
	if h != want {
		t.Errorf("parsed %+v, want %+v", h, want)
	}
	if h.Size() != len(raw) || h.LastOffset() != 1<<40+2 || h.NextOffset() != 1<<40+3 {
		t.Errorf("size %d, last %d, next %d", h.Size(), h.LastOffset(), h.NextOffset())
	}
}

func TestBadBatchesGetTheErrorOfTheirKind(t *testing.T) {
	good := testBatch{value: 5}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", nil, ErrBatchShort},
		{"header cut", good.encode()[:60], ErrBatchShort},
		{"records cut", good.encode()[:65], ErrBatchShort},
		{"magic 1", change(good, func(b []byte) { b[16] = 1 }), ErrBatchMagic},
		{"negative length", change(good, func(b []byte) { b[8] = 0x80 }), ErrBatchMalformed},
		{"length below the header", change(good, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 48) }), ErrBatchMalformed},
		{"length near 2 GiB", change(good, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<31-1) }), ErrBatchMalformed},
		{"other bytes", append(good.encode()[:len(good.encode())-1], 'x'), ErrBatchCRC},
		{"negative delta", change(good, func(b []byte) { b[23] = 0x80 }), ErrBatchMalformed},
		{"negative count", change(good, func(b []byte) { b[57] = 0x80 }), ErrBatchMalformed},
		{"more records than offsets", change(good, func(b []byte) { b[60] = 2 }), ErrBatchMalformed},
		{"fewer records than offsets", change(good, func(b []byte) { b[26] = 7 }), ErrBatchMalformed},
		{"too large", testBatch{value: 2000}.encode(), ErrBatchTooLarge},
		{"good one, then a bad one", append(good.encode(), good.encode()[:61]...), ErrBatchShort},
		{"idempotent and another", append(testBatch{producer: 1}.encode(), good.encode()...), ErrBatchMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := openLog(t, "/data/t-0", Options{FS: newSimFS(newRand(t, 1)), MaxBatchBytes: 1000}, OpenOptions{})
			if _, err := l.Append(c.raw, 1); !errors.Is(err, c.want) {
				t.Errorf("append says %v, want %v", err, c.want)
			}
			if l.LogEndOffset() != 0 || l.SizeBytes() != 0 {
				t.Errorf("%d bytes were appended, up to offset %d", l.SizeBytes(), l.LogEndOffset())
			}
		})
	}
}

func TestAppendTimeReplacesTheProducersAndKeepsTheCRCRight(t *testing.T) {
	l := openLog(t, "/data/t-0", Options{FS: newSimFS(newRand(t, 1)), AppendTime: true}, OpenOptions{})
	a, err := l.Append(testBatch{records: 2, timestamp: 5}.encode(), 1000)
	if err != nil || a.AppendTimeMillis != 1000 {
		t.Fatalf("append: %+v, %v", a, err)
	}
	h := readAll(t, l, 0, 1<<20)[0]
	if h.MaxTimestamp != 1000 || h.BaseTimestamp != 5 || h.Attributes != appendTimeBit {
		t.Errorf("the batch has %+v", h)
	}
}
