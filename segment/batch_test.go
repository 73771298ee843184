package segment

import (
	"encoding/binary"
	"errors"
	"testing"

	"oneplusn/segment/records"
)

// change is a batch with something written over it, and the CRC that goes with that.
func change(b testBatch, f func([]byte)) []byte {
	raw := b.encode()
	f(raw)
	return seal(raw)
}

func TestBadBatchesGetTheErrorOfTheirKind(t *testing.T) {
	good := testBatch{value: 5}
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"nothing", nil, records.ErrShort},
		{"header cut", good.encode()[:60], records.ErrShort},
		{"records cut", good.encode()[:65], records.ErrShort},
		{"magic 1", change(good, func(b []byte) { b[16] = 1 }), records.ErrMagic},
		{"negative length", change(good, func(b []byte) { b[8] = 0x80 }), records.ErrMalformed},
		{"length below the header", change(good, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 48) }), records.ErrMalformed},
		{"length near 2 GiB", change(good, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<31-1) }), records.ErrMalformed},
		{"other bytes", append(good.encode()[:len(good.encode())-1], 'x'), records.ErrCRC},
		{"negative delta", change(good, func(b []byte) { b[23] = 0x80 }), records.ErrMalformed},
		{"negative count", change(good, func(b []byte) { b[57] = 0x80 }), records.ErrMalformed},
		{"more records than offsets", change(good, func(b []byte) { b[60] = 2 }), records.ErrMalformed},
		{"fewer records than offsets", change(good, func(b []byte) { b[26] = 7 }), records.ErrMalformed},
		{"too large", testBatch{value: 2000}.encode(), ErrBatchTooLarge},
		{"good one, then a bad one", append(good.encode(), good.encode()[:61]...), records.ErrShort},
		{"idempotent and another", append(testBatch{producer: 1}.encode(), good.encode()...), records.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := openLog(t, "/data/t-0", Options{FS: newSimFS(t, 1), MaxBatchBytes: 1000}, OpenOptions{})
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
	l := openLog(t, "/data/t-0", Options{FS: newSimFS(t, 1), AppendTime: true}, OpenOptions{})
	a, err := l.Append(testBatch{records: 2, timestamp: 5}.encode(), 1000)
	if err != nil || a.AppendTimeMillis != 1000 {
		t.Fatalf("append: %+v, %v", a, err)
	}
	h := readAll(t, l, 0, 1<<20)[0]
	if h.MaxTimestamp != 1000 || h.BaseTimestamp != 5 || h.Attributes != records.AppendTime {
		t.Errorf("the batch has %+v", h)
	}
}
