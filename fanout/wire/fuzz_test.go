package wire

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// seedFrames adds every golden request, whole, cut short in several places, and with each of its 32-bit words replaced
// by a count that lies.
func seedFrames(f *testing.F, keep func(key int16) bool, add func(frame []byte)) {
	f.Helper()
	for key, frames := range golden() {
		if !keep(key) {
			continue
		}
		for _, frame := range frames {
			add(frame)
			for cut := 5; cut < len(frame); cut += 1 + len(frame)/5 {
				add(frame[:cut])
			}
			for at := 20; at+4 <= len(frame); at += 1 + len(frame)/7 {
				hostile := bytes.Clone(frame)
				binary.BigEndian.PutUint32(hostile[at:], 1<<31-1)
				add(hostile)
			}
		}
	}
}

func everyKey(int16) bool { return true }

// FuzzFrame reads sizes and headers. Whatever the bytes are:
//   - nothing panics;
//   - a size is within its limits;
//   - a header that is read is of a version that is served, and its body is the end of the frame;
//   - a header that is refused still says key, version and correlation id, if the bytes were there.
func FuzzFrame(f *testing.F) {
	seedFrames(f, everyKey, func(frame []byte) { f.Add(frame) })
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 20
		size, ok, err := FrameSize(b, limit)
		if err == nil && ok && (size < minFrameBytes || size > limit) {
			t.Fatalf("size %d", size)
		}
		if !ok && len(b) >= FrameSizeBytes {
			t.Fatal("four bytes are enough to tell")
		}
		if len(b) < FrameSizeBytes {
			return
		}
		frame := b[FrameSizeBytes:]
		h, err := ParseHeader(frame, goldenVersions)
		if err == nil {
			if lowest, highest, ok := goldenVersions(h.Key); !ok || h.Version < lowest || h.Version > highest {
				t.Fatalf("%+v was read", h)
			}
			if !bytes.HasSuffix(frame, h.Body) {
				t.Fatal("the body is not the frame's end")
			}
		}
		if len(frame) >= minFrameBytes && h.CorrelationID != int32(binary.BigEndian.Uint32(frame[4:])) {
			t.Fatalf("correlation id %d", h.CorrelationID)
		}
	})
}

// inside says that a slice lies within the bytes that it was parsed from.
func inside(part, whole []byte) bool {
	if len(part) == 0 {
		return true
	}
	from := uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	start := uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	return from >= start && from+uintptr(len(part)) <= start+uintptr(len(whole))
}

// seedBodies adds the bodies of one key's golden requests, with their versions.
func seedBodies(f *testing.F, key int16) {
	f.Helper()
	seedFrames(f, func(k int16) bool { return k == key }, func(frame []byte) {
		if len(frame) > 20 {
			f.Add(int16(binary.BigEndian.Uint16(frame[6:])), frame[20:])
		}
	})
}

// FuzzProduceRequest reads Produce requests by hand. Whatever the bytes are:
//   - nothing panics, and the bytes are not changed;
//   - every slice lies within them, and there are no more partitions than they can hold;
//   - what kmsg would write in just these bytes is accepted, and means the same.
func FuzzProduceRequest(f *testing.F) {
	seedBodies(f, KeyProduce)
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		version = clampVersion(version, 3, 8)
		before := bytes.Clone(body)
		var r ProduceRequest
		err := r.Parse(version, body)
		if !bytes.Equal(before, body) {
			t.Fatal("parsing changed the bytes")
		}
		if len(r.Partitions)*minProduceBytes > len(body) {
			t.Fatalf("%d partitions in %d bytes", len(r.Partitions), len(body))
		}
		for i := range r.Partitions {
			if p := &r.Partitions[i]; !inside(p.Topic, body) || !inside(p.Records, body) {
				t.Fatalf("partition %d does not lie within the frame", i)
			}
		}
		want := kmsg.NewPtrProduceRequest()
		want.Version = version
		if want.ReadFrom(body) != nil || !bytes.Equal(want.AppendTo(nil), body) {
			return
		}
		if err != nil {
			t.Fatalf("kmsg reads and writes it, but: %v", err)
		}
		compareProduce(t, &r, want)
	})
}

func clampVersion(version, low, high int16) int16 {
	if version < low || version > high {
		return low + int16(uint16(version)%uint16(high-low+1))
	}
	return version
}

func compareProduce(t *testing.T, r *ProduceRequest, want *kmsg.ProduceRequest) {
	t.Helper()
	if (r.TransactionalID == nil) != (want.TransactionID == nil) ||
		want.TransactionID != nil && *want.TransactionID != string(r.TransactionalID) ||
		r.Acks != want.Acks || r.TimeoutMillis != want.TimeoutMillis {
		t.Fatalf("read %+v, kmsg %+v", r, want)
	}
	i := 0
	for _, topic := range want.Topics {
		for _, p := range topic.Partitions {
			got := &r.Partitions[i]
			if string(got.Topic) != topic.Topic || got.Partition != p.Partition || !bytes.Equal(got.Records, p.Records) ||
				(got.Records == nil) != (p.Records == nil) {
				t.Fatalf("partition %d: read %+v, kmsg %s %+v", i, got, topic.Topic, p)
			}
			i++
		}
	}
	if i != len(r.Partitions) {
		t.Fatalf("%d partitions were read, kmsg has %d", len(r.Partitions), i)
	}
}

// FuzzFetchRequest reads Fetch requests by hand, with the same promises as [FuzzProduceRequest], and one more:
//   - parsing into memory that held another request gives the same as parsing into fresh memory.
func FuzzFetchRequest(f *testing.F) {
	seedBodies(f, KeyFetch)
	_, usedBody := goldenFrame(KeyFetch)
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		version = clampVersion(version, 4, 11)
		var r FetchRequest
		if err := r.Parse(11, usedBody); err != nil {
			t.Fatal(err)
		}
		err := r.Parse(version, body)
		if len(r.Partitions)*minFetchBytes > len(body) {
			t.Fatalf("%d partitions in %d bytes", len(r.Partitions), len(body))
		}
		for i := range r.Partitions {
			if !inside(r.Partitions[i].Topic, body) {
				t.Fatalf("partition %d does not lie within the frame", i)
			}
		}
		for i := range r.Forgotten {
			if !inside(r.Forgotten[i].Topic, body) {
				t.Fatalf("forgotten partition %d does not lie within the frame", i)
			}
		}
		want := kmsg.NewPtrFetchRequest()
		want.Version = version
		if want.ReadFrom(body) != nil || !bytes.Equal(want.AppendTo(nil), body) {
			return
		}
		if err != nil {
			t.Fatalf("kmsg reads and writes it, but: %v", err)
		}
		compareFetch(t, &r, want)
	})
}

func compareFetch(t *testing.T, r *FetchRequest, want *kmsg.FetchRequest) {
	t.Helper()
	if r.MaxWaitMillis != want.MaxWaitMillis || r.MinBytes != want.MinBytes ||
		r.MaxBytes != want.MaxBytes || r.Isolation != want.IsolationLevel || r.SessionID != want.SessionID ||
		r.SessionEpoch != want.SessionEpoch {
		t.Fatalf("read %+v, kmsg %+v", r, want)
	}
	i := 0
	for _, topic := range want.Topics {
		for _, p := range topic.Partitions {
			got := &r.Partitions[i]
			if string(got.Topic) != topic.Topic || got.Partition != p.Partition || got.FetchOffset != p.FetchOffset ||
				got.PartitionMaxBytes != p.PartitionMaxBytes || got.CurrentLeaderEpoch != p.CurrentLeaderEpoch {
				t.Fatalf("partition %d: read %+v, kmsg %s %+v", i, got, topic.Topic, p)
			}
			i++
		}
	}
	if i != len(r.Partitions) {
		t.Fatalf("%d partitions were read, kmsg has %d", len(r.Partitions), i)
	}
	i = 0
	for _, topic := range want.ForgottenTopics {
		for _, p := range topic.Partitions {
			if got := &r.Forgotten[i]; string(got.Topic) != topic.Topic || got.Partition != p {
				t.Fatalf("forgotten partition %d: read %+v, kmsg %s-%d", i, got, topic.Topic, p)
			}
			i++
		}
	}
	if i != len(r.Forgotten) {
		t.Fatalf("%d forgotten partitions were read, kmsg has %d", len(r.Forgotten), i)
	}
}

// maxDecodedBytesPerByte is how much memory a byte of a request may cost. kmsg makes a list as long as its count says
// if as many bytes are left, its elements have up to 200 bytes, and lists lie in lists.
const maxDecodedBytesPerByte = 1024

// FuzzDecodeRequest reads all requests by kmsg. Whatever the bytes are:
//   - nothing panics;
//   - no more than maxDecodedBytesPerByte is allocated for each of them, and a mebibyte for what else the process does;
//   - what is read and written again reads as the same bytes.
func FuzzDecodeRequest(f *testing.F) {
	seedFrames(f, everyKey, func(frame []byte) { f.Add(frame[FrameSizeBytes:]) })
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := ParseHeader(frame, goldenVersions)
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req, err := DecodeRequest(h)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(1<<20+maxDecodedBytesPerByte*len(frame)) {
			t.Fatalf("%s v%d: %d bytes were allocated for a frame of %d", Describe(h.Key), h.Version, n, len(frame))
		}
		if err != nil {
			return
		}
		written := req.AppendTo(nil)
		again := kmsg.RequestForKey(h.Key)
		again.SetVersion(h.Version)
		if err := again.ReadFrom(written); err != nil {
			t.Fatalf("%s v%d: the encoded request cannot be parsed: %v", Describe(h.Key), h.Version, err)
		}
		if !bytes.Equal(again.AppendTo(nil), written) {
			t.Fatalf("%s v%d: reading and writing changes it", Describe(h.Key), h.Version)
		}
	})
}
