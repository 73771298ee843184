package fanout

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"oneplusn/fanout/wire"
)

// What librdkafka before 2.11.1 wants to see before it compresses (it looks for exact versions within the ranges), and
// what the oldest and the newest clients need. A table that breaks one of these makes a client silently slower or mute.
func TestTableKeepsWhatClientsRelyOn(t *testing.T) {
	advertised := func(key, version int16) bool {
		r := requestOf(key)
		return r != nil && version >= r.Min && version <= r.Max
	}
	for _, row := range []struct {
		key, version int16
		why          string
	}{
		{0, 0, "librdkafka compresses with gzip, snappy and lz4 only if Produce 0 is in the range"},
		{10, 0, "librdkafka uses lz4 only if FindCoordinator 0 is in the range, kafka-go asks with it"},
		{0, 7, "librdkafka uses zstd only if Produce 7 is in the range (KIP-110)"},
		{1, 10, "librdkafka uses zstd only if Fetch 10 is in the range (KIP-110)"},
		{0, 3, "librdkafka writes record batches only if Produce 3 is in the range"},
		{1, 4, "librdkafka reads record batches only if Fetch 4 is in the range, kafka-python fetches with it"},
		{1, 11, "client.rack (KIP-392)"},
		{2, 1, "kafka-python and segmentio/kafka-go list offsets with 1"},
		{3, 0, "kafka-python asks for metadata with 0"},
		{18, 0, "clients fall back to it"},
		{18, 3, "Java and librdkafka name themselves with it (KIP-511)"},
		{19, 3, "kafka-python creates topics with 3"},
		{20, 1, "librdkafka and kafkajs delete topics with 1"},
		{22, 0, "idempotence is on by default in Java and franz-go"},
	} {
		if !advertised(row.key, row.version) {
			t.Errorf("%s %d is not advertised: %s", wire.Describe(row.key), row.version, row.why)
		}
	}
	for _, r := range Requests() {
		req := kmsg.RequestForKey(r.Key)
		req.SetVersion(r.Max)
		if req.IsFlexible() && r.Key != wire.KeyApiVersions {
			t.Errorf("%s %d is flexible: its responses would not end with the records, its headers would have tags", wire.Describe(r.Key), r.Max)
		}
		if r.Min < 0 || r.AcceptMin < r.Min || r.Max < r.AcceptMin || r.Max > req.MaxVersion() {
			t.Errorf("%s: %+v makes no sense", wire.Describe(r.Key), r)
		}
		if r.AcceptMin != r.Min && r.Key != wire.KeyProduce {
			t.Errorf("%s: versions %d to %d are advertised and not read", wire.Describe(r.Key), r.Min, r.AcceptMin-1)
		}
	}
	if lowest, _, _ := readVersions(wire.KeyProduce); lowest != 3 {
		t.Error("Produce 0 to 2 are advertised and never read")
	}
}

// KIP-511: the response's header has no tags in any version, and an unknown version is answered in version 0.
func TestApiVersionsResponseHasAnInflexibleHeader(t *testing.T) {
	c := start(t, nil).dial()
	for version, answered := range map[int16]int16{0: 0, 1: 1, 2: 2, 3: 3, 4: 0, 99: 0, -1: 0} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version = answered
		frame := c.frame(req)
		binary.BigEndian.PutUint16(frame[6:], uint16(version))
		c.write(frame)
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.Version = answered
		if err := resp.ReadFrom(c.frameBytes()[4:]); err != nil {
			t.Errorf("v%d: %v", version, err)
			continue
		}
		wantCode := int16(0)
		if version != answered {
			wantCode = wire.CodeUnsupportedVersion
		}
		if resp.ErrorCode != wantCode || len(resp.ApiKeys) != len(Requests()) {
			t.Errorf("v%d: error %d and %d ranges, want %d and %d", version, resp.ErrorCode, len(resp.ApiKeys), wantCode, len(Requests()))
		}
	}
}
