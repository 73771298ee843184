package fanout

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// framed puts a size in front of bytes.
func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// header is a request's, without a body: client id null.
func header(key, version int16) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return append(b, 0, 0, 0, 9, 0xff, 0xff)
}

func with(b []byte, more ...byte) []byte { return append(b, more...) }

// hostileInputs each end in a close with a counted reason; logged is a part of the log line.
var hostileInputs = []struct {
	name   string
	bytes  []byte
	logged string
}{
	{"garbage", []byte("\xde\xad\xbe\xef\x00\x01\x02\x03 and so on and so on"), "not a Kafka request"},
	{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "looks like HTTP"},
	{"HTTP/2", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "looks like HTTP"},
	{"TLS hello", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "looks like TLS"},
	{"frame of 2 GiB", []byte{0x7f, 0xff, 0xff, 0xff, 0, 0}, "larger than allowed"},
	{"frame just too large", []byte{0x06, 0x40, 0x00, 0x01}, "larger than allowed"},
	{"negative frame", []byte{0xff, 0xff, 0xff, 0xff}, "its size is -1"},
	{"most negative frame", []byte{0x80, 0, 0, 0}, "not a Kafka request"},
	{"empty frame", []byte{0, 0, 0, 0}, "its size is 0"},
	{"frame too small for a header", []byte{0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7}, "its size is 7"},
	{"header cut short", framed([]byte{0, 3, 0, 8, 0, 0, 0, 1}), "cut short"},
	{"client id longer than the frame", framed([]byte{0, 3, 0, 8, 0, 0, 0, 1, 0x7f, 0xff}), "a length in it lies"},
	{"client id of length -2", framed([]byte{0, 3, 0, 8, 0, 0, 0, 1, 0xff, 0xfe}), "a length in it lies"},
	{"unknown key", framed(header(127, 0)), "not served"},
	{"key beyond any", framed(header(32767, 0)), "not served"},
	{"negative key", framed(header(-1, 0)), "not served"},
	{"Fetch v3", framed(header(1, 3)), "served are 4 to 11"},
	{"Fetch v12", framed(header(1, 12)), "served are 4 to 11"},
	{"Fetch v-1", framed(header(1, -1)), "served are 4 to 11"},
	{"Produce v2, though it is advertised", framed(header(0, 2)), "served are 3 to"},
	{"Produce v9", framed(header(0, 9)), "served are 3 to"},
	{"Metadata v9", framed(header(3, 9)), "not served"},
	{"empty Fetch", framed(header(1, 11)), "cut short"},
	{"empty Produce", framed(header(0, 7)), "cut short"},
	{"empty Metadata", framed(header(3, 8)), "not a Kafka request"},
	{"empty CreateTopics", framed(header(19, 4)), "not a Kafka request"},
	{"Fetch of 2^31-1 topics", framed(with(header(1, 4), append(make([]byte, 17), 0x7f, 0xff, 0xff, 0xff)...)), "lies"},
	{"Fetch of -2 topics", framed(with(header(1, 4), append(make([]byte, 17), 0xff, 0xff, 0xff, 0xfe)...)), "lies"},
	{"Fetch of 2^31-1 partitions", framed(with(header(1, 4), append(make([]byte, 17), 0, 0, 0, 1, 0, 1, 'x', 0x7f, 0xff, 0xff, 0xff)...)), "lies"},
	{"Produce of 2^31-1 topics", framed(with(header(0, 7), 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)), "lies"},
	{"Produce of 2^31-1 bytes", framed(with(header(0, 7), 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'x',
		0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)), "lies"},
	{"Metadata of 2^31-1 topics", framed(with(header(3, 1), 0x7f, 0xff, 0xff, 0xff)), "not a Kafka request"},
	{"CreateTopics of 2^31-1 topics", framed(with(header(19, 0), 0x7f, 0xff, 0xff, 0xff)), "not a Kafka request"},
	{"ListOffsets of 2^31-1 topics", framed(with(header(2, 1), 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff)), "not a Kafka request"},
	{"DeleteTopics of 2^31-1 names", framed(with(header(20, 0), 0x7f, 0xff, 0xff, 0xff)), "not a Kafka request"},
	{"Metadata of more than a mebibyte", framed(with(header(3, 1), make([]byte, 1<<20+1)...)), "the limit for it"},
	{"ApiVersions with tags without end", framed(append(header(18, 3), 0xff, 0xff, 0xff, 0xff, 0x7f)), "lies"},
}

// Whatever a connection sends, only it is closed, with a counted reason and a log line with the cause; the other one is
// still served.
func TestHostileInputEndsItsOwnConnectionOnly(t *testing.T) {
	for _, input := range hostileInputs {
		t.Run(input.name, func(t *testing.T) {
			s := start(t, nil)
			good := s.dial()
			good.create("feed", 1)
			log := &shadow{topic: "feed"}
			bad := s.dial()
			bad.write(input.bytes)
			if got := bad.expectClosed(); len(got) != 0 {
				t.Errorf("%d bytes were answered", len(got))
			}
			s.await("the close to be counted", func(st Stats) bool { return st.Closed["protocol"] == 1 && st.Connections == 1 })
			if !strings.Contains(s.log.String(), input.logged) || !strings.Contains(s.log.String(), "reason=protocol") {
				t.Errorf("the log does not say %q:\n%s", input.logged, s.log)
			}
			good.publish(log, makeBatch(1, 1, 10, 0))
			if err := good.readAll(11, []*shadow{log}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A hostile request behind good ones does not take their answers away.
func TestRequestsBeforeAHostileOneAreAnswered(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("feed", 1)
	versions := kmsg.NewPtrApiVersionsRequest()
	first := c.frame(versions)
	c.write(append(append(first, c.frame(versions)...), framed(header(1, 99))...))
	c.receive(versions, c.next-1)
	c.receive(versions, c.next)
	c.expectClosed()
}

func TestFrameCutShortIsDroppedWhenItsSenderGoes(t *testing.T) {
	s := start(t, nil)
	good := s.dial()
	good.create("feed", 1)
	whole := good.frame(produceRequest(7, -1, "feed", map[int32][]byte{0: makeBatch(1, 1, 100, 0)}))
	for cut := 1; cut < len(whole); cut += 7 {
		bad := s.dial()
		bad.write(whole[:cut])
		_ = bad.conn.CloseWrite()
		if got := bad.expectClosed(); len(got) != 0 {
			t.Errorf("cut at %d: %d bytes were answered", cut, len(got))
		}
	}
	s.await("the cut ones to be forgotten", func(st Stats) bool { return st.Connections == 1 })
	if p := good.fetchOne(11, wanted{topic: "feed"}); p.HighWatermark != 0 {
		t.Errorf("a frame that was cut short was appended: the high watermark is %d", p.HighWatermark)
	}
}

// Frames may arrive in any pieces, and many in one piece.
func TestFramesMayArriveInAnyPieces(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	_ = c.conn.SetNoDelay(true)
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	for _, piece := range []int{1, 3, 4, 5, 100, 8192, 8193} {
		batch := makeBatch(uint64(piece), 2, 3000, 0)
		if piece == 1 {
			batch = makeBatch(1, 1, 30, 0)
		}
		req := produceRequest(7, -1, "feed", map[int32][]byte{0: batch})
		for rest := c.frame(req); len(rest) > 0; {
			n := min(piece, len(rest))
			c.write(rest[:n])
			rest = rest[n:]
		}
		p := c.receive(req, c.next).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			t.Fatalf("pieces of %d: error %d", piece, p.ErrorCode)
		}
		log.add(batch, p.BaseOffset)
	}
	if err := c.readAll(11, []*shadow{log}); err != nil {
		t.Error(err)
	}
}

// KIP-511: a client that is too new for the server learns from the answer which version to use.
func TestApiVersionsOfAnUnknownVersionIsAnsweredInVersionZero(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	for _, version := range []int16{4, 5, 99, 32767, -1} {
		c.write(framed(append(header(18, version), 1, 2, 3)))
		req := kmsg.NewPtrApiVersionsRequest()
		resp := c.receive(req, 9).(*kmsg.ApiVersionsResponse)
		if resp.ErrorCode != 35 || len(resp.ApiKeys) == 0 {
			t.Errorf("v%d: error %d with %d ranges, want 35 with the ranges", version, resp.ErrorCode, len(resp.ApiKeys))
		}
	}
	c.alive()
}

func TestTopicNamesThatCannotBeDirectoriesAreRefused(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	for _, name := range []string{"", ".", "..", "a/b", "../x", "/etc", "a\x00b", "a b", "a:b", "ä", "\xff", strings.Repeat("x", 250), strings.Repeat("x", 300)} {
		if code := c.tryCreate(name, 1); code != 17 {
			t.Errorf("creating %q: error %d, want 17", name, code)
		}
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.AllowAutoTopicCreation = 8, true
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
		if got := c.ask(req).(*kmsg.MetadataResponse).Topics[0].ErrorCode; got != 17 {
			t.Errorf("metadata of %q: error %d, want 17", name, got)
		}
		if r := c.produce(name, 0, makeBatch(1, 1, 1, 0)); r.ErrorCode != 3 {
			t.Errorf("producing to %q: error %d, want 3", name, r.ErrorCode)
		}
		if r := c.fetchOne(11, wanted{topic: name}); r.ErrorCode != 3 {
			t.Errorf("fetching from %q: error %d, want 3", name, r.ErrorCode)
		}
	}
	for _, name := range []string{"a", "...", "a.b_c-d", "-", "a-0", "0", strings.Repeat("x", 249)} {
		c.create(name, 1)
		c.publish(&shadow{topic: name}, makeBatch(1, 1, 1, 0))
	}
	if st := s.stats(); st.Topics != 7 {
		t.Errorf("%d topics, want 7", st.Topics)
	}
}

// The longest name leaves no room for the suffix of a deleted topic's directory.
func TestTopicsWithTheLongestNameAreDeleted(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	name := strings.Repeat("x", 249)
	c.create(name, 11)
	c.remove(name)
	left := -1
	gone := eventually(func() bool {
		entries, err := os.ReadDir(s.broker.config.DataDir)
		if err != nil {
			t.Fatal(err)
		}
		left = len(slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !e.IsDir() }))
		return left == 0
	})
	if !gone {
		t.Errorf("%d directories are left:\n%s", left, s.log)
	}
}

func TestCreateTopicsRefusesWhatItCannotDo(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	c.create("exists", 1)
	value := func(s string) *string { return &s }
	for _, row := range []struct {
		name   string
		change func(*kmsg.CreateTopicsRequestTopic)
		code   int16
	}{
		{"exists", func(*kmsg.CreateTopicsRequestTopic) {}, 36},
		{"no-partitions", func(r *kmsg.CreateTopicsRequestTopic) { r.NumPartitions = 0 }, 37},
		{"many-partitions", func(r *kmsg.CreateTopicsRequestTopic) { r.NumPartitions = 1<<31 - 1 }, 37},
		{"negative-partitions", func(r *kmsg.CreateTopicsRequestTopic) { r.NumPartitions = -2 }, 37},
		{"replicas", func(r *kmsg.CreateTopicsRequestTopic) { r.ReplicationFactor = 3 }, 38},
		{"no-such-config", func(r *kmsg.CreateTopicsRequestTopic) {
			r.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "no.such.config", Value: value("1")}}
		}, 40},
		{"default-partitions", func(r *kmsg.CreateTopicsRequestTopic) { r.NumPartitions, r.ReplicationFactor = -1, -1 }, 0},
	} {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 4
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = row.name, 1, 1
		row.change(&topic)
		req.Topics = append(req.Topics, topic)
		if got := c.ask(req).(*kmsg.CreateTopicsResponse).Topics[0]; got.ErrorCode != row.code {
			t.Errorf("%s: error %d, want %d", row.name, got.ErrorCode, row.code)
		} else if row.code != 0 && got.ErrorMessage == nil {
			t.Errorf("%s: error %d has no message", row.name, got.ErrorCode)
		}
	}
	twice := kmsg.NewPtrCreateTopicsRequest()
	twice.Version = 4
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "twice", 1, 1
	twice.Topics = append(twice.Topics, topic, topic)
	if got := c.ask(twice).(*kmsg.CreateTopicsResponse).Topics; got[1].ErrorCode != 42 {
		t.Errorf("a topic named twice: error %d, want 42", got[1].ErrorCode)
	}
	if n := s.stats().Topics; n != 2+btoi(c.tryCreate("twice", 1) == 36) {
		t.Errorf("%d topics are there", n)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Two clients create the same topic at once: one succeeds, the other gets TOPIC_ALREADY_EXISTS.
func TestTopicsCreatedAtOnceAreMadeOnce(t *testing.T) {
	s := start(t, nil)
	codes := make(chan int16)
	const clients = 10
	for range clients {
		c := s.dial()
		go func() { codes <- c.tryCreate("feed", 8) }()
	}
	made := 0
	for range clients {
		switch code := <-codes; code {
		case 0:
			made++
		case 36:
		default:
			t.Errorf("error %d", code)
		}
	}
	if st := s.stats(); made != 1 || st.Topics != 1 || st.Partitions != 8 {
		t.Errorf("made %d times: %d topics, %d partitions", made, st.Topics, st.Partitions)
	}
}

// The answers for many topics come in the order of the request.
func TestAnswersKeepTheOrderOfTheRequest(t *testing.T) {
	s := start(t, nil)
	c := s.dial()
	var wants []wanted
	for _, i := range []int{3, 1, 2} {
		name := fmt.Sprintf("topic-%d", i)
		c.create(name, 2)
		wants = append(wants, wanted{topic: name, partition: 1}, wanted{topic: name, partition: 0})
	}
	resp := c.ask(fetchRequest(11, wants...)).(*kmsg.FetchResponse)
	for i, w := range wants {
		if got := resp.Topics[i/2]; got.Topic != w.topic || got.Partitions[i%2].Partition != w.partition {
			t.Errorf("answer %d is of %s-%d, want %s-%d", i, got.Topic, got.Partitions[i%2].Partition, w.topic, w.partition)
		}
	}
}
