package loop

import (
	"crypto/rand"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what the parts of a server take from the machine that they run on, beside its kernel and file system. Nothing else may
// depend on chance, the time or the host: so a simulation of them repeats.
type Machine struct {
	// Clock is the time of day.
	Clock func() time.Time
	// Spawn runs f on another thread.
	Spawn func(f func())
	// Random fills b with random bytes. Any thread may call it.
	Random func(b []byte)
	// Waits is how often the calling thread has waited so far: its voluntary context switches.
	Waits func() int64
	// Processors is how many threads run at the same time.
	Processors int
	// OneThread: Spawn runs nothing at the same time as its caller, who must not wait for it.
	OneThread bool
}

// ThisMachine is the one that the program runs on.
func ThisMachine() Machine {
	return Machine{
		Clock: time.Now, Spawn: func(f func()) { go f() }, Random: func(b []byte) { _, _ = rand.Read(b) },
		Waits: voluntarySwitches, Processors: runtime.GOMAXPROCS(0),
	}
}

func voluntarySwitches() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		return -1
	}
	return usage.Nvcsw
}
