package fanout

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestLastOperationsOfTheLoopCanBeRead(t *testing.T) {
	s := start(t, nil)
	s.dial().ask(kmsg.NewPtrMetadataRequest())
	if n := s.stats().RecordedEvents; n == 0 {
		t.Error("no operation is counted")
	}
	var events bytes.Buffer
	if err := s.broker.WriteEvents(context.Background(), &events); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" completion of=accept/", " completion of=recv/0.0 result=", " request slot=0 key=Metadata bytes="} {
		if !strings.Contains(events.String(), want) {
			t.Errorf("no event says %q:\n%s", want, events.String())
		}
	}
}

func TestAsManyOperationsAreKeptAsTheFlagSays(t *testing.T) {
	s := start(t, func(c *Config) { c.FlightRecorderEvents = 3 })
	s.dial().ask(kmsg.NewPtrMetadataRequest())
	var events bytes.Buffer
	if err := s.broker.WriteEvents(context.Background(), &events); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(events.String(), "\n"); n != 3 {
		t.Errorf("%d operations are kept:\n%s", n, events.String())
	}
}

// The failing assertion is one of the test's own, in a process of its own.
func TestFailedAssertionShowsTheLastOperations(t *testing.T) {
	const mark = "ONEPLUSN_TEST_FAILS_AN_ASSERTION"
	if os.Getenv(mark) != "" {
		s := start(t, nil)
		s.dial().ask(kmsg.NewPtrMetadataRequest())
		s.broker.Do(func() { panic("fanout: 1 was expected, 2 was seen") })
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("the process did not end by the failed assertion")
	}
	text := string(out)
	request := strings.Index(text, " request slot=0 key=Metadata")
	assertion := strings.Index(text, "panic: fanout: 1 was expected, 2 was seen")
	if request < 0 || assertion < request || !strings.Contains(text[assertion:], "events_test.go") {
		t.Errorf("want the last operations, the assertion and where it stands:\n%s", text)
	}
}

// A handler that forgets its request is found when it returns, not by a client that waits for ever.
func TestRequestThatIsForgottenFailsAnAssertion(t *testing.T) {
	const mark = "ONEPLUSN_TEST_FORGETS_A_REQUEST"
	if os.Getenv(mark) != "" {
		served[kmsg.ListGroups].answer = func(*base, *client) error { return nil }
		start(t, nil).dial().ask(kmsg.NewPtrListGroupsRequest())
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: fanout: a request is answered, or waits for what answers it; ListGroups v0 has neither") {
		t.Errorf("%v:\n%s", err, out)
	}
}
