package fanout

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ReadProcess adds what the kernel knows about this process: its CPU time (the ring's worker threads included), its
// memory, and the bytes that it caused to be read from storage. The last is the witness of the copies from disk to
// page cache; 0 also where the file system does not account for it.
func (s *Stats) ReadProcess() {
	s.PID = os.Getpid()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err == nil {
		s.CPUUserSeconds = float64(usage.Utime.Nano()) / 1e9
		s.CPUSystemSeconds = float64(usage.Stime.Nano()) / 1e9
	}
	s.Ledger.DiskToCacheBytes = procField("/proc/self/io", "read_bytes:")
	s.RSSBytes = procField("/proc/self/status", "VmRSS:") << 10
	s.RSSAnonBytes = procField("/proc/self/status", "RssAnon:") << 10
}

// procField is the number behind a name in one of the files of proc(5), or 0.
func procField(path, name string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return 0
		}
		n, _ := strconv.ParseUint(string(fields[0]), 10, 64)
		return n
	}
	return 0
}
