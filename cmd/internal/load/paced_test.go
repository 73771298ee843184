package load

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"oneplusn/cmd/internal/host"
)

func TestSplitLayoutsCoverTheWhole(t *testing.T) {
	var l Layout
	for i := range int64(10) {
		l.add(100+7*i, 7, 1000)
	}
	for cut, want := range map[int64]int64{0: 0, 999: 0, 1000: 1000, 4567: 4000, 10_000: 10_000} {
		before, behind := l.Split(cut)
		if before.Bytes != want || before.Bytes+behind.Bytes != l.Bytes || before.Records+behind.Records != l.Records ||
			before.Start != l.Start || behind.End != l.End || before.End != behind.Start {
			t.Errorf("cut at %d: %+v and %+v", cut, before, behind)
		}
		for at := int64(0); at < l.Bytes; at += 333 {
			part, origin := before, int64(0)
			if at >= want {
				part, origin = behind, want
			}
			offset, position := part.after(at - origin)
			if wantOffset, wantPosition := l.after(at); offset != wantOffset || position+origin != wantPosition {
				t.Errorf("cut at %d: %d bytes lead to offset %d at %d, want %d at %d", cut, at, offset, position+origin, wantOffset, wantPosition)
			}
		}
	}
}

func TestPacedSubscribersReadTheirPartOverAndOver(t *testing.T) {
	broker := startBroker(t)
	layout := publishSome(t, broker.Address(), "t")
	_, hot := layout.Split(layout.Bytes / 2)
	for _, discard := range []bool{false, true} {
		t.Run(fmt.Sprintf("discard=%v", discard), func(t *testing.T) {
			set, err := Connect(t.Context(), DrainOptions{Address: broker.Address(), Topic: "t", Subscribers: 3, FetchBytes: 300_000,
				MaxWait: time.Second, Discard: discard, Layout: hot}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			for range 2 { // a set can be used again
				until, ended := make(chan struct{}), make(chan error)
				var done *Paced
				before := set.Received()
				go func() {
					var err error
					done, err = set.Repeat(t.Context(), time.Millisecond, until)
					ended <- err
				}()
				for set.Received() < before+9*hot.Bytes { // each three times
					time.Sleep(time.Millisecond)
					select {
					case err := <-ended:
						t.Fatal(err)
					default:
					}
				}
				close(until)
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if done.Fetches < 9*hot.Bytes/300_000 || done.Latency.TotalCount() != done.Fetches {
					t.Errorf("%d fetches, %d latencies", done.Fetches, done.Latency.TotalCount())
				}
			}
		})
	}
}

func TestPagesAreCountedAcrossSegments(t *testing.T) {
	dir := t.TempDir()
	page := os.Getpagesize()
	if err := os.Mkdir(filepath.Join(dir, "t-0"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(dir, "t-0", fmt.Sprintf("%d.log", i)), make([]byte, 4*page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := host.OpenSegments(dir, "t")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Bytes != int64(12*page) {
		t.Fatalf("%d bytes", s.Bytes)
	}
	from, to := int64(2*page), int64(9*page)
	if err := s.Read(from, to); err != nil {
		t.Fatal(err)
	}
	if cached, known := s.Cached(from, to); known && cached > 0 && cached != to-from { // a file system that hides its cache says 0
		t.Errorf("%d bytes are in the page cache, want %d", cached, to-from)
	}
	if err := os.Truncate(s.Files[1].Name(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(from, to); err == nil {
		t.Error("a segment that was cut short is read without an error")
	}
}
