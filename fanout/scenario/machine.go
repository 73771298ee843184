package scenario

import (
	"time"

	"oneplusn/fanout"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/ring"
)

// fanoutMachine is the simulated machine as the server knows it.
func (w *World) fanoutMachine() fanout.Machine {
	k := w.kernel
	return fanout.Machine{
		Machine: loop.Machine{
			Clock:  func() time.Time { return w.machine.WallClock(w.machine.Now()) },
			Spawn:  k.Go,
			Random: w.machine.RandomBytes,
			Waits:  func() int64 { return 0 }, Processors: 2,
			OneThread: true,
		},
		NewKernel: func(c ring.Config) (ring.Kernel, error) { return k, k.ProvideBuffers(c.RecvBuffers, c.RecvBufferBytes) },
		Bind: func(address string, _ int, _ time.Duration) (*conn.Listener, error) {
			fd, bound, err := k.Bind(address)
			return conn.NewListener(fd, bound, k.CloseFD), err
		},
		InlineWrites:   func(string) bool { return k.InlineWrites },
		PageCache:      func(string) (int64, string) { return 128 << 10, "" },
		OpenFilesLimit: 1 << 14, MemoryBytes: 1 << 30,
	}
}
