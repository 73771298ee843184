package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"oneplusn/fanout"
)

// startBroker runs a broker in this process until the test ends.
func startBroker(t *testing.T) *fanout.Broker {
	t.Helper()
	config := fanout.DefaultConfig()
	config.Listen, config.DataDir = "127.0.0.1:0", t.TempDir()
	config.Logger = slog.New(slog.DiscardHandler)
	config.Ring.Entries, config.Ring.RecvBuffers, config.MaxConnections = 64, 64, 64
	b, err := fanout.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run() }()
	t.Cleanup(func() {
		b.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-b.Ready()
	return b
}

func publishSome(t *testing.T, address, topic string) *Layout {
	t.Helper()
	control, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if err := control.CreateTopic(topic); err != nil {
		t.Fatal(err)
	}
	records, err := NewRecords(1000, 64<<10, nil)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := control.Publish(t.Context(), topic, records, 4<<20, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if start, end, err := control.Offsets(topic); err != nil || start != layout.Start || end != layout.End {
		t.Fatalf("the server has offsets %d to %d, %d to %d were published: %v", start, end, layout.Start, layout.End, err)
	}
	return layout
}

func TestSubscribersReceiveAllThatWasPublished(t *testing.T) {
	broker := startBroker(t)
	layout := publishSome(t, broker.Address(), "t")
	for _, discard := range []bool{false, true} {
		t.Run(fmt.Sprintf("discard=%v", discard), func(t *testing.T) {
			o := DrainOptions{Address: broker.Address(), Topic: "t", Subscribers: 7, FetchBytes: 300_000, MaxWait: time.Second,
				Discard: discard, Layout: layout, Threads: 2}
			set, err := Connect(t.Context(), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			d, err := set.Drain(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// A fetch ends with a whole batch here, so nothing is sent twice.
			if want := 7 * layout.Bytes; d.Bytes != want || set.Received() != want {
				t.Errorf("%d bytes were received, want %d", d.Bytes, want)
			}
			if len(d.SubscriberSeconds) != 7 || d.Quantile(0.5) <= 0 || d.Quantile(1) < d.Quantile(0.5) {
				t.Errorf("the subscribers' times are %v", d.SubscriberSeconds)
			}
		})
	}
}

func TestSlowSubscribersReadAllInTheEnd(t *testing.T) {
	broker := startBroker(t)
	layout := publishSome(t, broker.Address(), "t")
	o := DrainOptions{Address: broker.Address(), Topic: "t", FetchBytes: 1 << 20, MaxWait: time.Second, Layout: layout}
	set, err := Connect(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	slow, err := set.StartSlow(t.Context(), SlowOptions{Stalled: 2, Trickling: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.Finish(t.Context(), func(time.Duration) {}); err != nil {
		t.Fatal(err)
	}
	for _, sub := range slow.stalled.subs {
		if !sub.done || sub.received != layout.Bytes {
			t.Errorf("a stalled subscriber received %d of %d bytes", sub.received, layout.Bytes)
		}
	}
}

func TestLiveRunCountsEveryDelivery(t *testing.T) {
	broker := startBroker(t)
	control, err := Dial(broker.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if err := control.CreateTopic("live"); err != nil {
		t.Fatal(err)
	}
	o := DrainOptions{Address: broker.Address(), Topic: "live", Subscribers: 5, FetchBytes: 1 << 20, MaxWait: time.Second, Threads: 2}
	set, err := Connect(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	nothing := func() error { return nil }
	live, err := RunLive(t.Context(), set, LiveOptions{RecordBytes: 100, Rate: 200, Duration: 100 * time.Millisecond,
		Waiting: nothing, Done: nothing}, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if live.Published != 20 || live.Deliveries != 100 || live.Latency.TotalCount() != 100 {
		t.Errorf("%d published, %d delivered, %d latencies", live.Published, live.Deliveries, live.Latency.TotalCount())
	}
}

func TestLiveRunEndsWithItsSubscribers(t *testing.T) {
	broker := startBroker(t)
	control, err := Dial(broker.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	if err := control.CreateTopic("live"); err != nil {
		t.Fatal(err)
	}
	set, err := Connect(t.Context(), DrainOptions{Address: broker.Address(), Topic: "live", Subscribers: 2, FetchBytes: 1 << 20,
		MaxWait: time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := RunLive(t.Context(), set, LiveOptions{RecordBytes: 100, Rate: 10, Duration: 300 * time.Millisecond,
			Waiting: func() error { return unix.Shutdown(set.subs[0].fd, unix.SHUT_RD) },
			Done:    func() error { return nil }}, func(int64, int64) {})
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a subscriber without a connection gave %v", err)
		}
	case <-time.After(controlTimeout):
		t.Fatal("the run hangs after a subscriber failed")
	}
}

func TestInterruptedDrainEnds(t *testing.T) {
	broker := startBroker(t)
	layout := publishSome(t, broker.Address(), "t")
	layout.End++ // so that it is never done
	ctx, cancel := context.WithCancel(t.Context())
	set, err := Connect(ctx, DrainOptions{Address: broker.Address(), Topic: "t", Subscribers: 2, FetchBytes: 1 << 20,
		MaxWait: time.Minute, Layout: layout}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := set.Drain(ctx); err == nil {
		t.Error("an interrupted drain gave no error")
	}
}
