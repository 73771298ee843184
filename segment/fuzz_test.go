package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/segment/records"
)

// fuzzSeeds are good batches, and the ways in which they go wrong.
func fuzzSeeds(f *testing.F) {
	good := append(testBatch{records: 2, value: 10}.encode(), testBatch{base: 2, producer: 1}.encode()...)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), make([]byte, 100)...))
	broken := bytes.Clone(good)
	broken[70] ^= 1
	f.Add(broken)
	f.Add([]byte{})
}

// FuzzAppend: whatever a producer sends, Append panics never, changes nothing on an error, and what it took can be read
// back with its CRC right.
func FuzzAppend(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := Open(recoverDir, Options{FS: newSimFS(t, 1), SegmentBytes: 1 << 16}, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Append(bytes.Clone(raw), 1)
		if err != nil {
			if l.LogEndOffset() != 0 || l.SizeBytes() != 0 {
				t.Fatalf("%v, and the log has %d bytes", err, l.SizeBytes())
			}
			return
		}
		if a.LastOffset+1 != l.LogEndOffset() || a.Bytes != len(raw) {
			t.Fatalf("appended %+v, the log ends at %d", a, l.LogEndOffset())
		}
		records := 0
		for _, h := range readAll(t, l, 0, 1<<20) {
			records += int(h.RecordCount)
		}
		if records != a.Records {
			t.Fatalf("%d records of %d", records, a.Records)
		}
	})
}

// FuzzProducedToOpen: whatever a producer sends, the check panics never. What it takes another decoder of Kafka's records
// takes for as many; it can be appended, and is there after a crash, byte for byte but for what the log writes into it.
func FuzzProducedToOpen(f *testing.F) {
	fuzzSeeds(f)
	for _, raw := range poisons() {
		f.Add(raw)
	}
	for codec := records.None; codec <= records.Zstd; codec++ {
		f.Add(testBatch{records: 3, value: 20, timestamp: testNow}.deflated(codec))
		f.Add(testBatch{records: 2, producer: 5, timestamp: -1}.deflated(codec))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= records.HeaderSize {
			raw = seal(bytes.Clone(raw)) // else hardly anything passes the CRC
		}
		in, err := produced(raw)
		if err != nil {
			return
		}
		fs := newSimFS(t, 1)
		l := openLog(t, recoverDir, Options{FS: fs}, OpenOptions{})
		sent := bytes.Clone(raw)
		a, err := l.AppendChecked(raw, in, testNow)
		if errors.Is(err, ErrOutOfOrderSequence) {
			return
		}
		if err != nil || a.Records != decodedRecords(t, sent) {
			t.Fatalf("append: %+v, %v", a, err)
		}
		l = openLog(t, recoverDir, Options{FS: fs.revive()}, OpenOptions{})
		rng, err := l.Read(0, 1<<20)
		if err != nil || l.LogEndOffset() != a.LastOffset+1 {
			t.Fatalf("after a crash the log ends with %d: %v", l.LogEndOffset(), err)
		}
		got := bytesOf(t, rng)
		if h, err := records.CheckBatch(got); err != nil || h.MaxTimestamp != in.maxTimestamp {
			t.Fatalf("after a crash: %+v, %v", h, err)
		}
		// What the log decides: the offset, the epoch, the latest time and the CRC that covers it.
		for _, field := range [][2]int{{0, 8}, {12, 16}, {17, records.CRCFrom}, {35, 43}} {
			copy(got[field[0]:field[1]], sent[field[0]:field[1]])
		}
		if !bytes.Equal(got, sent) {
			t.Fatalf("after a crash the batch is %x, it was %x", got, sent)
		}
	})
}

// decodedRecords is how many records franz-go finds in a batch.
func decodedRecords(t *testing.T, raw []byte) (n int) {
	h, err := records.ParseBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	payload := raw[records.HeaderSize:]
	if codec := kgo.CompressionCodecType(h.Attributes.Codec()); codec != kgo.CodecNone {
		if payload, err = kgo.DefaultDecompressor().Decompress(payload, codec); err != nil {
			t.Fatalf("another decoder: %v", err)
		}
	}
	for len(payload) > 0 {
		size, used := binary.Varint(payload)
		var r kmsg.Record
		if used <= 0 || size <= 0 || int64(used)+size > int64(len(payload)) {
			t.Fatalf("record %d has %d bytes of %d", n, size, len(payload))
		}
		if err := r.ReadFrom(payload[:int64(used)+size]); err != nil || int(r.OffsetDelta) != n {
			t.Fatalf("another decoder: record %d: %+v, %v", n, r, err)
		}
		payload = payload[int64(used)+size:]
		n++
	}
	return n
}

// FuzzScan: the scan of any bytes panics never; what it calls valid is valid, and scanning only that gives the same and
// finds it intact; a log opens on any bytes or is refused, and a refused one is untouched.
func FuzzScan(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		visited := int64(0)
		v := scanFile(bytes.NewReader(raw), int64(len(raw)), 0, func(h records.Batch, at int64) {
			if got, err := records.CheckBatch(raw[at:]); err != nil || got != h {
				t.Fatalf("the batch at %d is visited: %v", at, err)
			}
			visited += int64(h.Size())
		})
		if v.validBytes != visited || v.validBytes > int64(len(raw)) || (v.damage == intact) != (visited == int64(len(raw))) {
			t.Fatalf("%+v of %d bytes, %d visited", v, len(raw), visited)
		}
		again := scanFile(bytes.NewReader(raw[:visited]), visited, 0, func(records.Batch, int64) {})
		if again.damage != intact || again.nextOffset != v.nextOffset || again.batches != v.batches {
			t.Fatalf("%+v, its valid part %+v", v, again)
		}
		fs := newSimFS(t, 1)
		fs.disk.Put(segmentPath(recoverDir, 0), raw)
		l, err := Open(recoverDir, Options{FS: fs}, OpenOptions{RecoveryPoint: AllDurable})
		if (err == nil) != (v.damage == intact || v.damage == tornTail) {
			t.Fatalf("%+v, open says %v", v, err)
		}
		if err != nil {
			if !bytes.Equal(fs.content(segmentPath(recoverDir, 0)), raw) {
				t.Fatal("a refused log was changed")
			}
			return
		}
		readAll(t, l, 0, 100)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSidecars: no content of the files beside a segment makes opening it panic, lose a batch, or read a wrong one.
func FuzzSidecars(f *testing.F) {
	ps := newProducers(10)
	ps.add(sequence{id: 1, last: 3, lastOffset: 2}, 1)
	f.Add(encodeEntries([]indexEntry{{1, 70}}), encodeEntries([]timeEntry{{5, 1}}), ps.encode(), []byte("0\n1\n0 0\n"))
	f.Add([]byte{}, []byte{}, []byte{}, []byte{})
	f.Add(make([]byte, 80), make([]byte, 120), make([]byte, 56), []byte("1\n"))
	f.Fuzz(func(t *testing.T, index, timeIndex, snapshot, epochs []byte) {
		fs := newSimFS(t, 1)
		first := append(testBatch{timestamp: 5}.encode(), testBatch{base: 1, timestamp: 4}.encode()...)
		for path, content := range map[string][]byte{
			segmentPath(recoverDir, 0):                 first,
			segmentPath(recoverDir, 2):                 testBatch{base: 2, timestamp: 6}.encode(),
			filePath(recoverDir, 0, indexSuffix):       index,
			filePath(recoverDir, 0, timeIndexSuffix):   timeIndex,
			filePath(recoverDir, 2, snapshotSuffix):    snapshot,
			recoverDir + "/leader-epoch-checkpoint":    epochs,
			filePath(recoverDir, 900, snapshotSuffix):  snapshot,
			filePath(recoverDir, 900, timeIndexSuffix): timeIndex,
		} {
			fs.disk.Put(path, content)
		}
		l, err := Open(recoverDir, Options{FS: fs}, OpenOptions{Clean: true})
		if err != nil {
			if _, perr := parseEpochs(epochs); perr == nil {
				t.Fatalf("open: %v", err)
			}
			return // epochs that say nonsense are refused
		}
		if got := readAll(t, l, 0, 80); len(got) != 3 {
			t.Fatalf("%d batches of 3", len(got))
		}
		_ = l.atTime(5, 0).narrow(5)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzTextFiles: the readers of Kafka's text files never panic, and read back what they format.
func FuzzTextFiles(f *testing.F) {
	f.Add([]byte("0\n1\n0 0\n"))
	f.Add([]byte("0\n1\ntopic 0 5\n"))
	f.Add([]byte("version: 0\ntopic_id: AQID-gAAAAAAAAAAAAAAAA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if list, err := parseEpochs(text); err == nil {
			if again, err := parseEpochs(formatEpochs(list)); err != nil || len(again) != len(list) {
				t.Fatalf("%v reads back as %v, %v", list, again, err)
			}
		}
		if offsets, err := parseCheckpoint(text); err == nil {
			for _, offset := range offsets {
				if offset < 0 {
					t.Fatalf("an offset is %d", offset)
				}
			}
		}
		_, _ = parseMetadata(text)
		_, _ = parseTxnIndex(text)
	})
}
