package fanout

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A turn that takes long is counted, and the line about it names the request that took it.
func TestSlowTurnIsCountedAndItsRequestNamed(t *testing.T) {
	s := startTuned(t, nil, func(c *Config) { c.SlowTurnLog = 1 })
	c := s.dial()
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = 5
	c.ask(req)
	lines := func(want string) bool {
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, "slow turn of the loop") && strings.Contains(line, want) {
				return true
			}
		}
		return false
	}
	for _, want := range []string{"request=ListOffsets version=5", "client=test", "peer=127.0.0.1:", "bytes=23", "step="} {
		if !eventually(func() bool { c.ask(req); return lines(want) }) {
			t.Errorf("no line about a slow turn says %s:\n%s", want, s.log)
		}
	}
	st := s.stats()
	var counted uint64
	for _, n := range st.TurnTimes.Counts {
		counted += n
	}
	if counted != st.Turns || st.TurnTimes.Seconds <= 0 || len(st.TurnTimes.Counts) != len(st.TurnTimes.Bounds)+1 {
		t.Errorf("%d of %d turns are in the histogram, %v s", counted, st.Turns, st.TurnTimes.Seconds)
	}
}
