// Package peer runs the servers that the load generator measures, as child processes: this program's own, and nginx. It reads their
// counters, or else their CPU time.
package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"oneplusn/fanout"
)

// Server is a server under load: a child of this process, or one that runs already.
type Server struct {
	// Kafka and Admin are its addresses; Admin is empty if it has none.
	Kafka, Admin string
	// PID is 0 if it is not known.
	PID int

	command *exec.Cmd
	stderr  *tail
}

// startTimeout bounds how long a child may take to be ready.
const startTimeout = 60 * time.Second

// StartServer starts this very program as a server on a data directory, and waits until it is ready.
func StartServer(dataDir string, flags ...string) (*Server, error) {
	binary := os.Getenv("ONEPLUSN_SERVER_BINARY")
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("peer: finding the program itself: %w", err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("peer: pipe: %w", err)
	}
	defer func() { _ = r.Close() }()
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", dataDir,
		"--ready-fd", "3", "--log-level", "warn"}, flags...)
	s := &Server{command: exec.Command(binary, args...), stderr: new(tail)}
	s.command.ExtraFiles = []*os.File{w}
	s.command.Stderr = s.stderr
	// The child ends with its parent, however that ends.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = s.command.Start()
	_ = w.Close()
	if err != nil {
		return nil, fmt.Errorf("peer: starting the server: %w", err)
	}
	if err := s.awaitReady(r); err != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		return nil, fmt.Errorf("%w%s", err, s.stderr.said())
	}
	return s, nil
}

func (s *Server) awaitReady(r *os.File) error {
	_ = r.SetReadDeadline(time.Now().Add(startTimeout))
	line, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("peer: the server is not ready after %v: %w", startTimeout, err)
	}
	var ready struct {
		Kafka, Admin string
		PID          int
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		return errors.New("peer: the server ended before it was ready")
	}
	s.Kafka, s.Admin, s.PID = ready.Kafka, ready.Admin, ready.PID
	return nil
}

// Stop ends a child with SIGTERM, and returns an error unless it ends well within 30 s.
func (s *Server) Stop() error {
	if s.command == nil {
		return nil
	}
	_ = s.command.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- s.command.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("peer: the server ended with %w%s", err, s.stderr.said())
		}
		return nil
	case <-time.After(30 * time.Second):
		_ = s.command.Process.Kill()
		<-ended
		return fmt.Errorf("peer: the server did not stop within 30 s%s", s.stderr.said())
	}
}

// Kill ends a child with SIGKILL, as the kernel does when memory runs out, and waits until it is gone.
func (s *Server) Kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

// Said is the end of what a child wrote to its standard error; empty if it wrote nothing.
func (s *Server) Said() string { return s.stderr.said() }

// tail keeps the last lines that a child wrote.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 2048

// Write implements [io.Writer].
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, nil)))
	if text == "" {
		return ""
	}
	return "; it said: " + strings.ReplaceAll(text, "\n", " | ")
}

// Stats are a server's own counters, as its admin address gives them.
type Stats struct {
	fanout.Stats
	Counted bool `json:"-"` // false where the server does not count
}

// Since is s with every counter reduced by its value in an earlier snapshot.
func (s Stats) Since(before Stats) Stats {
	s.CPUUserSeconds -= before.CPUUserSeconds
	s.CPUSystemSeconds -= before.CPUSystemSeconds
	s.Ring.QueuedWhenFull -= before.Ring.QueuedWhenFull
	s.ColdCache.DroppedBytes -= before.ColdCache.DroppedBytes
	s.ColdCache.BusyBytes -= before.ColdCache.BusyBytes
	l, was := &s.Ledger, &before.Ledger
	l.DiskCounted = l.DiskCounted && was.DiskCounted
	l.DiskToCacheBytes -= was.DiskToCacheBytes
	l.CacheToUserBytes -= was.CacheToUserBytes
	l.UserToSocketBytes -= was.UserToSocketBytes
	l.CacheToSocketBytes -= was.CacheToSocketBytes
	l.ByReferenceBytes -= was.ByReferenceBytes
	return s
}

// CPUSeconds is user and system time together.
func (s Stats) CPUSeconds() float64 { return s.CPUUserSeconds + s.CPUSystemSeconds }

// Stats reads the server's counters. Without an admin address it has only the CPU time, if the PID is known.
func (s *Server) Stats(ctx context.Context) (Stats, error) {
	if s.Admin == "" {
		return processStats(s.PID)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/stats", nil)
	if err != nil {
		return Stats{}, fmt.Errorf("peer: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Stats{}, fmt.Errorf("peer: asking the server for its counters: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	stats := Stats{Counted: true}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&stats); err != nil {
		return Stats{}, fmt.Errorf("peer: the server's counters: %w", err)
	}
	return stats, nil
}

// processStats is a process's CPU time from proc(5), in ticks of 10 ms.
func processStats(pid int) (s Stats, err error) {
	if pid == 0 {
		return s, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stats{}, fmt.Errorf("peer: the CPU time of process %d: %w", pid, err)
	}
	// The second field is the name in parentheses, which may contain anything; user and system time are the 14th and 15th.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var user, system float64
	if len(fields) > 13 {
		_, _ = fmt.Sscan(fields[11], &user)
		_, _ = fmt.Sscan(fields[12], &system)
	}
	const ticksPerSecond = 100 // USER_HZ
	s.PID, s.CPUUserSeconds, s.CPUSystemSeconds = pid, user/ticksPerSecond, system/ticksPerSecond
	return s, nil
}
