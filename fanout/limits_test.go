package fanout

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestConnectionsAboveTheLimitAreRefusedAndSlotsServeAgain(t *testing.T) {
	const limit = 5
	s := start(t, func(c *Config) { c.MaxConnections = limit })
	for round := range 3 {
		var clients []*dialed
		for range limit {
			c := s.dial()
			c.alive()
			clients = append(clients, c)
		}
		for range 3 {
			if got := s.dial().expectClosed(); len(got) != 0 {
				t.Errorf("a refused connection got %d bytes", len(got))
			}
		}
		s.await("the refusals to be counted", func(st Stats) bool {
			return st.Closed["limit"] == uint64(3*(round+1)) && st.Connections == limit
		})
		for _, c := range clients {
			c.alive()
			c.close()
		}
		s.await("the slots to be free", func(st Stats) bool { return st.Connections == 0 })
	}
	if !strings.Contains(s.log.String(), "raise --max-connections") {
		t.Errorf("the log does not name the remedy:\n%s", s.log)
	}
}

func TestMetadataOfManyTopicsIsSentWhole(t *testing.T) {
	s := start(t, func(c *Config) { c.Log.SegmentBytes = 1 << 14; c.Log.MaxBatchBytes = 1 << 14 })
	c := s.dial()
	const topics = 40 // of 90 bytes each: more than a slab holds
	for i := range topics {
		c.create(fmt.Sprintf("topic-with-a-rather-long-name-%03d", i), 2)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 8
	resp := c.ask(req).(*kmsg.MetadataResponse)
	if len(resp.Topics) != topics {
		t.Errorf("%d topics, want %d", len(resp.Topics), topics)
	}
	for i, topic := range resp.Topics {
		if want := fmt.Sprintf("topic-with-a-rather-long-name-%03d", i); *topic.Topic != want || len(topic.Partitions) != 2 {
			t.Errorf("topic %d is %s with %d partitions, want %s with 2", i, *topic.Topic, len(topic.Partitions), want)
		}
	}
}

func TestValidateNamesTheFieldAndItsLimits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"partitions":        func(c *Config) { c.Partitions = 0 },
		"max-connections":   func(c *Config) { c.MaxConnections = 0 },
		"segment-bytes":     func(c *Config) { c.Log.SegmentBytes = 1 << 31 },
		"max-message-bytes": func(c *Config) { c.Log.MaxBatchBytes = 10 },
		"max-request-bytes": func(c *Config) { c.MaxRequestBytes = 10 },
		"request-memory":    func(c *Config) { c.RequestMemoryBytes = int64(c.MaxRequestBytes) - 1 },
		"response-memory":   func(c *Config) { c.ResponseMemoryBytes = 1 },
		"fetch-max-bytes":   func(c *Config) { c.FetchMaxBytes = 1 },
		"pipe-size":         func(c *Config) { c.Transfer.PipeBytes = 1 },
		"pipes":             func(c *Config) { c.Transfer.MaxPipes = 0 },
		"chunk-size":        func(c *Config) { c.Transfer.ChunkBytes = 0 },
		"copy-memory":       func(c *Config) { c.Transfer.CopyBytes = c.Transfer.ChunkBytes - 1 },
		"idle-timeout":      func(c *Config) { c.IdleTimeout = 1 },
		"stall-timeout":     func(c *Config) { c.StallTimeout = 1 },
		"cannot carry it":   func(c *Config) { c.Log.MaxBatchBytes = int(c.MaxRequestBytes) },
	} {
		c := testConfig(t)
		change(&c)
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
