package fanout

import (
	"time"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/ring"
)

// Machine is what a server runs on beside the file system of its logs. [ThisMachine] is the real one; a simulation gives another.
type Machine struct {
	loop.Machine
	NewKernel func(ring.Config) (ring.Kernel, error)
	// Bind reserves an address. A port that is in use is waited for.
	Bind func(address string, sendBufferBytes int, busyWait time.Duration) (*conn.Listener, error)
	// InlineWrites reports whether writes to a directory hardly ever block.
	InlineWrites func(dir string) bool
	// PageCache tells how far the kernel reads ahead by itself in a file, or why it hides what its page cache holds of the file.
	PageCache func(file string) (readaheadBytes int64, hidden string)
	// OpenFilesLimit is the limit on open files.
	OpenFilesLimit int64
	// MemoryBytes is how much memory the process may use; 0 is unknown.
	MemoryBytes int64
}
