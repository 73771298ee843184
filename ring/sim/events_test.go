package sim

import (
	"testing"
	"time"
)

func TestAnHourInWhichNothingHappensIsOneWait(t *testing.T) {
	k := New(1, Options{})
	if got, err := k.Wait(time.Hour); len(got) > 0 || err != nil || k.Now() < time.Hour || k.Now() > time.Hour+time.Second {
		t.Errorf("Wait of an hour returned %v, %v at %v", got, err, k.Now())
	}
}

func TestEventsHappenInTheOrderOfTheirTimesAndThenOfTheCalls(t *testing.T) {
	m := NewMachine(1, Options{})
	type when struct {
		at  time.Duration
		seq int
	}
	var last when
	happened := 0
	for i := range 1000 {
		at := time.Duration(m.random.IntN(100))
		m.After(at, func() {
			if at < last.at || at == last.at && i < last.seq || m.Now() != at {
				t.Errorf("event %d for %d happened at %v, after event %d for %d", i, at, m.Now(), last.seq, last.at)
			}
			last = when{at, i}
			happened++
		})
	}
	if m.advance(time.Second); happened != 1000 {
		t.Errorf("%d of 1000 events happened", happened)
	}
}

func TestClientReadsAgainWhenItIsToldTo(t *testing.T) {
	k := New(1, Options{SendBufferBytes: 100})
	read := 0
	s := k.NewSocket(Peer{Received: func(b []byte) { read += len(b) }, BytesPerTick: 100, IdleUntil: time.Hour, ResetAfter: -1})
	s.putCopy(make([]byte, 10))
	k.machine.advance(time.Minute)
	if read != 0 {
		t.Errorf("a client that is idle read %d bytes", read)
	}
	(&Client{k.machine, s}).Idle(0)
	if k.machine.advance(2 * time.Minute); read != 10 {
		t.Errorf("a client that is not idle any more read %d of 10 bytes", read)
	}
}
