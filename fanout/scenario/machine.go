package scenario

import (
	"time"

	"oneplusn/fanout"
	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/ring"
	"oneplusn/ring/sim"
	"oneplusn/segment"
)

// disk is a simulated disk as a server uses it.
type disk struct {
	*sim.Disk
	kernel *sim.Kernel
}

var _ segment.FS = disk{}

// Open implements [segment.FS].
func (d disk) Open(path string, access segment.Access) (segment.File, error) {
	f, err := d.kernel.Open(path, access == segment.ReadOnly, access == segment.Create)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// IsNamed implements [segment.FS].
func (d disk) IsNamed(f segment.File, path string) (bool, error) { return f.(*sim.File).SameAs(path) }

// Unmap implements [segment.FS].
func (d disk) Unmap([]byte) {}

// Lock implements [segment.FS]. There is one program.
func (d disk) Lock(path string) (unlock func(), err error) {
	f, err := d.kernel.Open(path, false, true)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

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
