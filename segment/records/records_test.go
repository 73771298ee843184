package records

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/records/compress"
)

// record is one record as a client writes it. A key or value of nil is null.
func record(delta int32, millis int64, key, value []byte, headers ...kmsg.Header) []byte {
	r := kmsg.Record{TimestampDelta64: millis, OffsetDelta: delta, Key: key, Value: value, Headers: headers}
	body := r.AppendTo(nil)[1:] // without the length, which is 0 and takes a byte
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// xerial is Snappy as snappy-java writes it, in blocks of so many bytes.
func xerial(b []byte, block int) []byte {
	out := append(bytes.Clone(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
	for len(b) > 0 {
		n := min(block, len(b))
		piece := s2.EncodeSnappy(nil, b[:n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(piece)))
		out = append(out, piece...)
		b = b[n:]
	}
	return out
}

const limit = 16 << 20

// all reads every record, with its contents.
func all(codec Codec, payload []byte) (list []Record, err error) {
	r := Reader{Contents: true, Large: true}
	defer r.Close()
	if err := r.Reset(codec, payload, limit); err != nil {
		return nil, err
	}
	for {
		var rec Record
		more, err := r.Next(&rec)
		if !more || err != nil {
			return list, err
		}
		rec.Key, rec.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
		list = append(list, rec)
	}
}

// shapes are records of all kinds: without key or value, empty, with headers, larger than the window, at its edges.
func shapes() map[string][]Record {
	big := func(n int) []byte { return bytes.Repeat([]byte{'x', 'y', 'z'}, n/3+1)[:n] }
	many := make([]Record, 5000)
	for i := range many {
		many[i] = Record{OffsetDelta: int32(i), TimestampDelta: int64(i * i), Value: fmt.Appendf(nil, "value %d", i)}
	}
	edges := make([]Record, 200)
	for i := range edges {
		edges[i] = Record{OffsetDelta: int32(i), Key: big(i), Value: big(windowBytes - 100 + i)}
	}
	return map[string][]Record{
		"null": {{}}, "empty": {{Key: []byte{}, Value: []byte{}}}, "many": many, "at the window's edges": edges[:60],
		"large": {{Key: big(100_000), Value: big(3_000_000), TimestampDelta: -5}, {OffsetDelta: 1, Value: big(1)}},
	}
}

func encode(list []Record) (b []byte) {
	for i, r := range list {
		var headers []kmsg.Header
		if i%3 == 1 {
			headers = []kmsg.Header{{Key: "k", Value: []byte("v")}, {Key: "", Value: nil}}
		}
		b = append(b, record(r.OffsetDelta, r.TimestampDelta, r.Key, r.Value, headers...)...)
	}
	return b
}

func TestRecordsComeOutAsTheyWentIn(t *testing.T) {
	for name, want := range shapes() {
		inflated := encode(want)
		payloads := map[string][]byte{"xerial": xerial(inflated, 32<<10), "xerial, small": xerial(inflated, 1000)}
		codecs := map[string]Codec{"xerial": Snappy, "xerial, small": Snappy}
		for codec := None; codec <= Zstd; codec++ {
			payloads[codec.String()], codecs[codec.String()] = compress.Records(int(codec), inflated), codec
		}
		for how, payload := range payloads {
			got, err := all(codecs[how], payload)
			if err != nil || len(got) != len(want) {
				t.Errorf("%s, %s: %d records of %d, %v", name, how, len(got), len(want), err)
				continue
			}
			for i := range got {
				g, w := got[i], want[i]
				if g.OffsetDelta != w.OffsetDelta || g.TimestampDelta != w.TimestampDelta || !bytes.Equal(g.Key, w.Key) ||
					!bytes.Equal(g.Value, w.Value) || (g.Key == nil) != (w.Key == nil) || (g.Value == nil) != (w.Value == nil) {
					t.Fatalf("%s, %s: record %d is another one", name, how, i)
				}
			}
		}
	}
}

// No part of compressed records is taken for all of them, and nothing behind their end is passed over.
func TestCutOrExtendedPayloadIsInvalid(t *testing.T) {
	inflated := encode(shapes()["many"][:300])
	for codec := Gzip; codec <= Zstd; codec++ {
		payloads := map[string][]byte{codec.String(): compress.Records(int(codec), inflated)}
		if codec == Snappy {
			payloads["xerial"] = xerial(inflated, 1000)
		}
		for name, payload := range payloads {
			for n := range payload {
				if got, err := all(codec, payload[:n]); err == nil && len(got) == 300 {
					t.Errorf("%s: %d of %d bytes hold all records", name, n, len(payload))
				}
			}
			for _, behind := range [][]byte{{0}, {1, 2, 3}, make([]byte, 100), []byte("garbage behind the end")} {
				if _, err := all(codec, append(bytes.Clone(payload), behind...)); !errors.Is(err, ErrInvalid) {
					t.Errorf("%s: %q behind the end: %v", name, behind, err)
				}
			}
		}
	}
}

func TestFormsThatSomeDecodersDoNotKnowAreInvalid(t *testing.T) {
	inflated := encode(shapes()["many"][:300])
	frame := func(options ...lz4.Option) []byte {
		var out bytes.Buffer
		w := lz4.NewWriter(&out)
		if err := w.Apply(options...); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(inflated)
		_ = w.Close()
		return out.Bytes()
	}
	good := frame(lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(inflated))))
	if got, err := all(LZ4, good); err != nil || len(got) != 300 {
		t.Errorf("an LZ4 frame with every checksum: %d records, %v", len(got), err)
	}
	dependent := bytes.Clone(good)
	dependent[4] &^= lz4Independent
	skippable := append([]byte{0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 0}, good...)
	repeated := append(binary.AppendUvarint(nil, 8), 0, 'a', 1, 1, 1, 0) // a copy from offset 0: S2's "repeat"
	for name, c := range map[string]struct {
		codec   Codec
		payload []byte
	}{
		"LZ4 blocks that depend on each other": {LZ4, dependent},
		"an LZ4 frame before it":               {LZ4, skippable},
		"two LZ4 frames":                       {LZ4, append(bytes.Clone(good), good...)},
		"the old LZ4 format":                   {LZ4, frame(lz4.LegacyOption(true))},
		"an offset of 0 in Snappy":             {Snappy, repeated},
		"an S2 stream":                         {Snappy, s2.Encode(nil, bytes.Repeat([]byte("abcdefgh"), 10_000))},
		"a Snappy header alone":                {Snappy, xerialMagic},
	} {
		if _, err := all(c.codec, c.payload); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, ErrInvalid)
		}
	}
}

// Memory does not depend on what compressed bytes inflate to, nor on what they say that they do.
func TestInflatingTakesAWindow(t *testing.T) {
	const inflated, allowed = 64 << 20, 14 << 20
	value := make([]byte, inflated)
	payloads := map[Codec][]byte{}
	for _, codec := range []Codec{Gzip, LZ4, Zstd} {
		payloads[codec] = compress.Records(int(codec), record(0, 0, nil, value))
	}
	xerials := xerial(record(0, 0, nil, value), 32<<10)
	claim := append(binary.AppendUvarint(nil, 1<<31), 0, 'a') // says 2 GiB
	measure := func(name string, codec Codec, payload []byte, most int64, want error) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var r Reader
		err := r.Reset(codec, payload, most)
		var rec Record
		for more := err == nil; more; {
			more, err = r.Next(&rec)
		}
		r.Close()
		runtime.ReadMemStats(&after)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > allowed {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
	for codec, payload := range payloads {
		measure(codec.String(), codec, payload, 128<<20, nil)
		measure(codec.String()+", limited", codec, payload, 1<<20, ErrTooLarge)
	}
	measure("xerial", Snappy, xerials, 128<<20, nil)
	measure("xerial, limited", Snappy, xerials, 1<<20, ErrTooLarge)
	measure("a Snappy block that is too large", Snappy, s2.EncodeSnappy(nil, value), 1<<20, ErrTooLarge)
	measure("a Snappy block that lies", Snappy, claim, 1<<40, ErrInvalid)
}

// zstd windows above 8 MiB are refused unless the caller allows them.
func TestLargeWindowsAreReadWhereTheyAreAllowed(t *testing.T) {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithWindowSize(32<<20))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(record(0, 0, nil, make([]byte, 1000)))
	_ = w.Flush() // so that the frame does not know its size
	_ = w.Close()
	var r Reader
	var rec Record
	err = r.Reset(Zstd, out.Bytes(), limit)
	if err == nil {
		_, err = r.Next(&rec)
	}
	if !errors.Is(err, ErrWindow) {
		t.Errorf("a window of 32 MiB: %v, want %v", err, ErrWindow)
	}
	r.Close()
	if got, err := all(Zstd, out.Bytes()); err != nil || len(got) != 1 {
		t.Errorf("where it is allowed: %d records, %v", len(got), err)
	}
}

// FuzzReader: whatever the bytes are, reading them neither panics nor passes its limit; and what it takes, another decoder
// of Kafka's records takes for the same.
func FuzzReader(f *testing.F) {
	for _, list := range shapes() {
		inflated := encode(list[:min(len(list), 20)])
		if len(inflated) > 10_000 {
			continue
		}
		for codec := None; codec <= Zstd; codec++ {
			f.Add(byte(codec), compress.Records(int(codec), inflated))
		}
		f.Add(byte(Snappy), xerial(inflated, 100))
	}
	f.Add(byte(None), append(binary.AppendVarint(nil, 5000), make([]byte, 40)...))
	f.Add(byte(Zstd), []byte("this is not zstd at all, but random bytes"))
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		codec := Codec(kind % 8)
		r := Reader{Large: true}
		defer r.Close()
		const most = 1 << 20
		err := r.Reset(codec, payload, most)
		var list []Record
		for err == nil {
			var rec Record
			var more bool
			if more, err = r.Next(&rec); err != nil || !more {
				break
			}
			list = append(list, rec)
		}
		if r.Inflated() > most+windowBytes && codec != None {
			t.Fatalf("%d bytes were inflated, the limit is %d", r.Inflated(), most)
		}
		if err != nil || len(list) == 0 { // no batch is without records
			return
		}
		inflated := payload
		if codec != None {
			if inflated, err = kgo.DefaultDecompressor().Decompress(payload, kgo.CompressionCodecType(codec)); err != nil {
				t.Fatalf("another decoder: %v", err)
			}
		}
		for i, want := range list {
			size, n := binary.Varint(inflated)
			if n <= 0 || size < 0 || int64(n)+size > int64(len(inflated)) {
				t.Fatalf("record %d of %d: the length is %d", i, len(list), size)
			}
			var rec kmsg.Record
			if err := rec.ReadFrom(inflated[:int64(n)+size]); err != nil {
				t.Fatalf("record %d of %d: another decoder: %v", i, len(list), err)
			}
			if rec.OffsetDelta != want.OffsetDelta || rec.TimestampDelta64 != want.TimestampDelta {
				t.Fatalf("record %d is %+v, another decoder has offset %d and time %d", i, want, rec.OffsetDelta, rec.TimestampDelta64)
			}
			inflated = inflated[int64(n)+size:]
		}
		if len(inflated) > 0 {
			t.Fatalf("%d bytes are left over", len(inflated))
		}
	})
}
