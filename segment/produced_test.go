package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"oneplusn/segment/records"
	"oneplusn/segment/records/compress"
)

// deflated is the batch with its records compressed.
func (t testBatch) deflated(codec records.Codec) []byte {
	b := t.encode()
	return withRecords(b, codec, compress.Records(int(codec), b[records.HeaderSize:]))
}

// withRecords is a batch with other records.
func withRecords(batch []byte, codec records.Codec, payload []byte) []byte {
	b := append(bytes.Clone(batch[:records.HeaderSize]), payload...)
	b[records.CRCFrom+1] |= byte(codec)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-records.Overhead))
	return seal(b)
}

var testRules = Rules{MaxBatchBytes: 1 << 20, MaxInflatedBytes: 8 << 20,
	TimestampBeforeMillis: math.MaxInt64, TimestampAfterMillis: 3_600_000}

const testNow = 1_700_000_000_000

func produced(raw []byte) (Checked, error) {
	var c Checker
	return c.Check(raw, testRules, true, testNow)
}

// poisons are batches that were acknowledged once, and then stopped every consumer, or the log.
func poisons() map[string][]byte {
	three := testBatch{records: 3, value: 3}
	claims := func(count int32, raw []byte) []byte {
		binary.BigEndian.PutUint32(raw[23:], uint32(count-1))
		binary.BigEndian.PutUint32(raw[57:], uint32(count))
		return seal(raw)
	}
	deltas := func(list ...byte) []byte {
		var all []byte
		for _, d := range list {
			all = append(all, 14, 0, 0, 2*d, 1, 2, 'v', 0)
		}
		return claims(int32(len(list)), withRecords(three.encode(), 0, all))
	}
	all := map[string][]byte{
		"inner length too long":   withRecords(three.encode(), 0, append(binary.AppendVarint(nil, 5000), make([]byte, 40)...)),
		"deltas 0 0 0":            deltas(0, 0, 0),
		"deltas 0 2 1":            deltas(0, 2, 1),
		"deltas 1 2 3":            deltas(1, 2, 3),
		"deltas 0 1 5":            deltas(0, 1, 5),
		"count 5 of 3":            claims(5, three.encode()),
		"count 2 of 3":            claims(2, three.encode()),
		"count 5 of 3 and zeros":  claims(5, withRecords(three.encode(), 0, append(three.encode()[61:], make([]byte, 60)...))),
		"bytes behind":            withRecords(three.encode(), 0, append(three.encode()[61:], 1, 2)),
		"nothing":                 withRecords(three.encode(), 0, nil),
		"value beyond the record": change(three, func(b []byte) { b[66] = 40 }),
		"negative headers":        change(three, func(b []byte) { b[70] = 1 }),
		"headers beyond it":       change(three, func(b []byte) { b[70] = 18 }),
		"key of length -2":        change(three, func(b []byte) { b[65] = 3 }),
		"control":                 testBatch{bits: records.Control}.encode(),
	}
	for codec := records.Gzip; codec <= records.Zstd; codec++ {
		name := codec.String() + ", "
		all[name+"garbage"] = withRecords(three.encode(), codec, []byte("this is nothing at all, but random bytes"))
		all[name+"nothing"] = withRecords(three.encode(), codec, nil)
		all[name+"two billion"] = claims(math.MaxInt32, three.deflated(codec))
		all[name+"count 2 of 3"] = claims(2, three.deflated(codec))
		all[name+"count 4 of 3"] = claims(4, three.deflated(codec))
		all[name+"deltas 0 0 0"] = withRecords(three.encode(), codec, compress.Records(int(codec), deltas(0, 0, 0)[records.HeaderSize:]))
		all[name+"bytes behind the records"] = withRecords(three.encode(), codec, compress.Records(int(codec), append(three.encode()[61:], 1, 2)))
		all[name+"bytes behind the end"] = withRecords(three.encode(), codec, append(three.deflated(codec)[61:], 1, 2, 3))
		all[name+"cut"] = withRecords(three.encode(), codec, three.deflated(codec)[61:len(three.deflated(codec))-2])
	}
	return all
}

func TestPoisonIsRefusedBeforeItIsAcknowledged(t *testing.T) {
	for name, raw := range poisons() {
		if _, err := produced(raw); !errors.Is(err, records.ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, records.ErrMalformed)
		}
	}
}

func TestBatchOfAProducerIsHeldAgainstEveryRule(t *testing.T) {
	good := testBatch{records: 3, value: 5, timestamp: testNow}
	at := func(millis int64) []byte { return testBatch{timestamp: millis}.encode() }
	for _, c := range []struct {
		name string
		raw  []byte
		want error
	}{
		{"good", good.encode(), nil},
		{"none", nil, ErrBatchCount},
		{"header cut", good.encode()[:60], ErrBatchCount},
		{"records cut", good.encode()[:65], ErrBatchCount},
		{"two", append(good.encode(), good.encode()...), ErrBatchCount},
		{"one and a byte", append(good.encode(), 0), ErrBatchCount},
		{"magic 1", change(good, func(b []byte) { b[16] = 1 }), records.ErrMagic},
		{"magic 3", change(good, func(b []byte) { b[16] = 3 }), records.ErrMagic},
		{"length below the header", change(good, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 48) }), records.ErrCRC},
		{"negative length", change(good, func(b []byte) { b[8] = 0x80 }), records.ErrCRC},
		{"other bytes", append(good.encode()[:len(good.encode())-1], 'x'), records.ErrCRC},
		{"any base offset", change(good, func(b []byte) { b[7] = 1 }), nil}, // Kafka refuses it
		{"no records", change(good, func(b []byte) { b[60] = 0 }), records.ErrMalformed},
		{"no offsets", change(good, func(b []byte) { binary.BigEndian.PutUint64(b[23:], math.MaxUint64); b[60] = 0 }), records.ErrMalformed},
		{"transactional", testBatch{bits: records.Transactional}.encode(), ErrTransactional},
		{"time of append", testBatch{bits: records.AppendTime}.encode(), ErrInvalidTimestamp},
		{"unknown attributes, as Kafka", testBatch{bits: 1 << 12}.encode(), nil},
		{"producer without sequence", testBatch{producer: 1, sequence: -1}.encode(), records.ErrMalformed},
		{"producer without epoch", testBatch{producer: 1, epoch: -1}.encode(), records.ErrMalformed},
		{"too large", testBatch{value: 1 << 20}.encode(), ErrBatchTooLarge},
		{"codec 5", withRecords(good.encode(), 5, nil), ErrCompression},
		{"codec 7", withRecords(good.encode(), 7, nil), ErrCompression},
		{"inflates to too much", testBatch{value: 9 << 20}.deflated(records.Zstd), ErrInflatedTooLarge},
		{"without a time", at(-1), nil},
		{"1970", at(0), nil},
		{"before 1970", at(-5), nil},
		{"the first time", at(math.MinInt64), ErrInvalidTimestamp},
		{"in an hour", at(testNow + 3_600_000), nil},
		{"later than in an hour", at(testNow + 3_600_001), ErrInvalidTimestamp},
		{"microseconds", at(testNow * 1000), ErrInvalidTimestamp},
		{"the last time", at(math.MaxInt64), ErrInvalidTimestamp},
	} {
		if _, err := produced(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	var c Checker
	if _, err := c.Check(good.deflated(records.Zstd), testRules, false, testNow); !errors.Is(err, ErrCompression) {
		t.Errorf("zstd in a version without it: %v", err)
	}
	limited := testRules
	limited.TimestampBeforeMillis = 1000
	if _, err := c.Check(at(testNow-1001), limited, true, testNow); !errors.Is(err, ErrInvalidTimestamp) {
		t.Errorf("a time before the limit: %v", err)
	}
	limited.AppendTime = true
	if _, err := c.Check(at(testNow*1000), limited, true, testNow); err != nil {
		t.Errorf("a time that is not kept: %v", err)
	}
}

func TestCompressedBatchIsTakenUnderEveryCodec(t *testing.T) {
	for codec := records.None; codec <= records.Zstd; codec++ {
		for _, b := range []testBatch{
			{value: 0}, {records: 3, value: 100}, {records: 5000, value: 10}, {value: 1 << 20}, {records: 40, value: 100_000},
		} {
			raw := b.deflated(codec)
			in, err := produced(raw)
			if len(raw) > testRules.MaxBatchBytes && errors.Is(err, ErrBatchTooLarge) {
				continue
			}
			if err != nil || in.records != max(b.records, 1) {
				t.Errorf("%v, %d records of %d bytes: %+v, %v", codec, b.records, b.value, in, err)
			}
		}
	}
}

// A batch whose check exceeds the loop's budget gets ErrLaterPlease, never another error.
func TestCheckBeyondItsBudgetIsPutOff(t *testing.T) {
	var c Checker
	for codec := records.None; codec <= records.Zstd; codec++ {
		raw := testBatch{records: 300, value: 1000}.deflated(codec)
		c.Budget = 64 << 10
		if _, err := c.Check(raw, testRules, true, testNow); !errors.Is(err, ErrLaterPlease) {
			t.Errorf("%v: %v within a budget, want %v", codec, err, ErrLaterPlease)
		}
		if spent, _ := c.Spent(); spent > c.Budget+64<<10 {
			t.Errorf("%v: %d bytes were walked over within a budget of %d", codec, spent, c.Budget)
		}
		c.Budget = 0
		if _, err := c.Check(raw, testRules, true, testNow); err != nil {
			t.Errorf("%v: %v without a budget", codec, err)
		}
	}
}

// Time lookups and retention use the latest time in a batch's header, so it is recomputed.
func TestLatestTimestampIsThatOfTheRecords(t *testing.T) {
	for codec := records.None; codec <= records.Zstd; codec++ {
		for _, lie := range []int64{-1, 0, 5, testNow + 1, math.MaxInt64} {
			l := openLog(t, "/data/t-0", Options{FS: newSimFS(t, 1)}, OpenOptions{})
			raw := testBatch{records: 2, timestamp: testNow}.deflated(codec)
			binary.BigEndian.PutUint64(raw[35:], uint64(lie))
			in, err := produced(seal(raw))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.AppendChecked(raw, in, testNow); err != nil {
				t.Fatal(err)
			}
			if h := readAll(t, l, 0, 1<<20)[0]; h.MaxTimestamp != testNow {
				t.Errorf("%v: the header said %d, and says %d, want %d", codec, lie, h.MaxTimestamp, testNow)
			}
		}
	}
}

func TestBatchLargerThanASegmentIsRefusedToProducersOnly(t *testing.T) {
	for name, prepare := range map[string]func(l *Log){
		"empty": func(*Log) {},
		"begun": func(l *Log) { mustAppend(t, l, testBatch{}) },
		"lowered": func(l *Log) {
			l.Configure(Options{SegmentBytes: 1 << 20})
			mustAppend(t, l, testBatch{})
			l.Configure(Options{SegmentBytes: 1 << 14})
		},
	} {
		l := openLog(t, "/data/t-0", Options{FS: newSimFS(t, 1), SegmentBytes: 1 << 14}, OpenOptions{})
		prepare(l)
		raw := testBatch{value: 1 << 14}.encode()
		in, err := produced(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.AppendChecked(raw, in, testNow); !errors.Is(err, ErrBatchAboveSegment) {
			t.Errorf("%s: %v, want %v", name, err, ErrBatchAboveSegment)
		}
		end := l.LogEndOffset()
		mustAppend(t, l, testBatch{value: 1 << 14})
		mustAppend(t, l, testBatch{})
		if got := readAll(t, l, end, 1<<20); len(got) != 2 {
			t.Errorf("%s: %d batches behind %d", name, len(got), end)
		}
	}
}

// A check allocates nothing for a batch that is not compressed: it runs on the loop for every publisher.
func TestCheckOfUncompressedBatchAllocatesNothing(t *testing.T) {
	raw := testBatch{records: 100, value: 100, timestamp: testNow}.encode()
	c := Checker{Budget: 1 << 20}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Check(raw, testRules, true, testNow); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a check", n)
	}
}

// BenchmarkCheck says what the check of a batch costs, and its CRC alone.
func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct {
		name  string
		batch testBatch
	}{{"1x1KiB", testBatch{value: 1 << 10}}, {"256KiBof100B", testBatch{records: 2400, value: 100}}, {"256KiBof0B", testBatch{records: 30000}}} {
		for codec := records.None; codec <= records.Zstd; codec++ {
			raw := c.batch.deflated(codec)
			b.Run(c.name+"/"+codec.String(), func(b *testing.B) {
				var checker Checker
				b.SetBytes(int64(len(c.batch.encode())))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := checker.Check(raw, testRules, true, testNow); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		raw := c.batch.encode()
		b.Run(c.name+"/crc", func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := records.CheckBatch(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
