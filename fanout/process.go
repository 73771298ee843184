package fanout

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadProcess adds what the kernel knows about this process: its CPU time (the ring's worker threads included), its
// memory, and the bytes that it caused to be read from storage. The last is the witness of the copies from disk to
// page cache; LedgerStats.DiskCounted is false where the kernel does not account for it.
func (s *Stats) ReadProcess() {
	s.PID = os.Getpid()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err == nil {
		s.CPUUserSeconds = float64(usage.Utime.Nano()) / 1e9
		s.CPUSystemSeconds = float64(usage.Stime.Nano()) / 1e9
	}
	s.Ledger.DiskToCacheBytes, s.Ledger.DiskCounted = procField("/proc/self/io", "read_bytes:")
	resident, _ := procField("/proc/self/status", "VmRSS:")
	anonymous, _ := procField("/proc/self/status", "RssAnon:")
	s.RSSBytes, s.RSSAnonBytes = resident<<10, anonymous<<10
}

// procField is the number behind a name in one of the files of proc(5). ok is false if it is not there.
func procField(path, name string) (n uint64, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut("\n"+string(text), "\n"+name)
	_, err = fmt.Sscan(rest, &n)
	return n, err == nil
}
