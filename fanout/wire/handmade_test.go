package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The Fetch response is encoded by hand and alternates header bytes and records; kmsg must decode the same fields.
func TestFetchResponseIsReadByKmsgAsItWasMeant(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for version := int16(4); version <= 11; version++ {
		for range 50 {
			want := kmsg.NewPtrFetchResponse()
			want.Version = version
			if version >= 7 {
				want.ErrorCode, want.SessionID = int16(random.IntN(100)), random.Int32()
			}
			for i := range random.IntN(4) {
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic = strings.Repeat("t", i+1)
				for range 1 + random.IntN(3) {
					topic.Partitions = append(topic.Partitions, randomPartition(random, version))
				}
				want.Topics = append(want.Topics, topic)
			}
			frame, err := fetchResponse(want, 7)
			if err != nil {
				t.Fatal(err)
			}
			if other := AppendResponse(nil, 7, want); !bytes.Equal(frame, other) {
				t.Fatalf("v%d: by hand\n%x\nby kmsg\n%x", version, frame, other)
			}
			got := kmsg.NewPtrFetchResponse()
			got.Version = version
			if err := got.ReadFrom(frame[8:]); err != nil {
				t.Fatalf("v%d: %v", version, err)
			}
		}
	}
}

func randomPartition(random *rand.Rand, version int16) kmsg.FetchResponseTopicPartition {
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode = random.Int32(), int16(random.IntN(100))
	p.HighWatermark, p.LastStableOffset = random.Int64(), random.Int64()
	if version >= 5 {
		p.LogStartOffset = random.Int64()
	}
	p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	for range random.IntN(3) {
		p.AbortedTransactions = append(p.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{
			ProducerID: random.Int64(), FirstOffset: random.Int64()})
	}
	p.RecordBatches = make([]byte, random.IntN(200))
	return p
}

// fetchResponse writes a response the way the broker does.
func fetchResponse(r *kmsg.FetchResponse, correlationID int32) ([]byte, error) {
	b := AppendFetchHead(nil, r.Version, correlationID, r.ErrorCode, r.SessionID, len(r.Topics))
	for _, topic := range r.Topics {
		b = AppendFetchTopic(b, []byte(topic.Topic), len(topic.Partitions))
		for _, p := range topic.Partitions {
			res := FetchResult{p.ErrorCode, p.HighWatermark, p.LastStableOffset, p.LogStartOffset, int32(len(p.RecordBatches)), nil}
			for _, a := range p.AbortedTransactions {
				res.Aborted = append(res.Aborted, AbortedTransaction{a.ProducerID, a.FirstOffset})
			}
			b = AppendFetchPartition(b, r.Version, p.Partition, res)
			b = append(b, p.RecordBatches...)
		}
	}
	return b, PatchFrameSize(b, int64(len(b)))
}

func TestProduceResponseGroupsItsPartitionsByTopic(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 8
	for _, topic := range []struct {
		name       string
		partitions []int32
	}{{"a", []int32{3, 1}}, {"empty", nil}, {"b", []int32{0}}, {"a", []int32{2}}} {
		t := kmsg.NewProduceRequestTopic()
		t.Topic = topic.name
		for _, p := range topic.partitions {
			t.Partitions = append(t.Partitions, kmsg.ProduceRequestTopicPartition{Partition: p})
		}
		req.Topics = append(req.Topics, t)
	}
	for version := int16(3); version <= 8; version++ {
		req.Version = version
		var parsed ProduceRequest
		if err := parsed.Parse(version, req.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		var results []ProduceResult
		for i := range parsed.Partitions {
			results = append(results, ProduceResult{ErrorCode: int16(i), BaseOffset: int64(10 + i), LogAppendTimeMillis: -1, ErrorMessage: "x"})
		}
		var resp kmsg.ProduceResponse
		resp.Version = version
		raw := AppendProduceResponse(nil, version, 1, &parsed, func(i int) *ProduceResult { return &results[i] })
		if err := resp.ReadFrom(raw[8:]); err != nil {
			t.Fatal(err)
		}
		if whole := AppendResponse(nil, 1, &resp); !bytes.Equal(raw, whole) {
			t.Errorf("v%d: %x, want %x", version, raw, whole)
		}
		var got string
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				got += fmt.Sprintf("%s-%d:%d@%d ", topic.Topic, p.Partition, p.ErrorCode, p.BaseOffset)
			}
		}
		if want := "a-3:0@10 a-1:1@11 b-0:2@12 a-2:3@13 "; got != want {
			t.Errorf("v%d: %s, want %s", version, got, want)
		}
	}
}

func TestFrameSizeTellsWhatIsWrong(t *testing.T) {
	for _, row := range []struct {
		bytes string
		size  int
		ok    bool
		err   error
		text  string
	}{
		{"", 0, false, nil, ""},
		{"\x00\x00\x00", 0, false, nil, ""},
		{"\x00\x00\x00\x08", 8, true, nil, ""},
		{"\x00\x00\x10\x00", 4096, true, nil, ""},
		{"\x00\x00\x10\x01", 0, true, ErrFrameTooLarge, "4097 bytes, the limit is 4096 (--max-request-bytes)"},
		{"\x7f\xff\xff\xff", 0, true, ErrFrameTooLarge, "2147483647"},
		{"\x00\x00\x00\x07", 0, true, ErrFrameMalformed, "its size is 7, the least is 8"},
		{"\x80\x00\x00\x00", 0, true, ErrFrameMalformed, "-2147483648"},
		{"GET /", 0, true, ErrFrameMalformed, "--admin"},
		{"POST /", 0, true, ErrFrameMalformed, "HTTP"},
		{"\x16\x03\x01\x00", 0, true, ErrFrameMalformed, "PLAINTEXT"},
	} {
		size, ok, err := FrameSize([]byte(row.bytes), 4096)
		if size != row.size || ok != row.ok || !errors.Is(err, row.err) || row.err != nil && !strings.Contains(err.Error(), row.text) {
			t.Errorf("%q: %d, %v, %v, want %d, %v, %q", row.bytes, size, ok, err, row.size, row.ok, row.text)
		}
	}
}

func TestResponseThatNoFrameHoldsIsRefused(t *testing.T) {
	head := make([]byte, 8)
	for total, ok := range map[int64]bool{4: true, 8: true, 1<<31 + 3: true, 1<<31 + 4: false, 3: false, -1: false} {
		if err := PatchFrameSize(head, total); (err == nil) != ok {
			t.Errorf("a response of %d bytes: %v", total, err)
		}
	}
}

func TestParsingIntoTheSameMemoryAllocatesNothing(t *testing.T) {
	fetchFrame, fetchBody := goldenFrame(KeyFetch)
	_, produceBody := goldenFrame(KeyProduce)
	var f FetchRequest
	var p ProduceRequest
	if n := testing.AllocsPerRun(100, func() {
		size, _, err := FrameSize(fetchFrame, 1<<20)
		if _, herr := ParseHeader(fetchFrame[FrameSizeBytes:], goldenVersions); herr != nil || err != nil || size == 0 {
			t.Fatal(err, herr)
		}
		if err := f.Parse(11, fetchBody); err != nil {
			t.Fatal(err)
		}
		if err := p.Parse(8, produceBody); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
