package fanout

import (
	"time"

	"oneplusn/fanout/commit"
	"oneplusn/fanout/conn"
	"oneplusn/ring"
)

// Machine is what a server runs on beside the file system of its logs. [ThisMachine] is the real one; a simulation gives another.
type Machine struct {
	NewKernel func(ring.Config) (ring.Kernel, error)
	// Bind reserves an address. A port that is in use is waited for.
	Bind func(address string, sendBufferBytes int, busyWait time.Duration) (*conn.Listener, error)
	// Clock is the time of day.
	Clock func() time.Time
	// Spawn runs f on another thread.
	Spawn func(f func())
	// InlineWrites reports whether writes to a directory hardly ever block.
	InlineWrites func(dir string) bool
	// OneThread: Spawn runs nothing at the same time as its caller, who must not wait for it.
	OneThread bool
}

// ThisMachine is the one that the program runs on.
func ThisMachine() Machine {
	return Machine{
		NewKernel: func(c ring.Config) (ring.Kernel, error) { return ring.New(c) },
		Bind:      conn.Bind, Clock: time.Now, Spawn: func(f func()) { go f() }, InlineWrites: commit.OnLocalFileSystem,
	}
}
