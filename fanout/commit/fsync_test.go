package commit

import (
	"testing"
	"time"
)

func TestFsyncIsReadAndWritten(t *testing.T) {
	for text, want := range map[string]Fsync{
		"never": {}, "always": {Always: true}, "interval=1s": {Every: time.Second}, "interval=5ms": {Every: 5 * time.Millisecond},
	} {
		got, err := ParseFsync(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q is %+v (%v), error %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "sometimes", "interval", "interval=", "interval=0s", "interval=1us", "interval=48h", "interval=-1s", "Always"} {
		if got, err := ParseFsync(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
