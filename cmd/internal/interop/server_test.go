//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds how long a server may take to be ready, on a machine that is busy with other things.
const startTimeout = 30 * time.Second

// server is a server under test: the binary that ONEPLUSN_BINARY names, on a free port.
type server struct {
	t       *testing.T
	address string // host:port of the Kafka listener
	dataDir string
	flags   []string
	command *exec.Cmd
	log     *lockedBuffer
}

// startServer runs the binary on dataDir until the test ends. Flags come after its own, so they win.
func startServer(t *testing.T, dataDir string, flags ...string) *server {
	t.Helper()
	s := &server{t: t, address: "127.0.0.1:0", dataDir: dataDir, flags: flags, log: new(lockedBuffer)}
	s.start()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log.tail(4096))
		}
	})
	return s
}

func (s *server) start() {
	s.t.Helper()
	binary := os.Getenv("ONEPLUSN_BINARY")
	if binary == "" {
		s.t.Fatal("ONEPLUSN_BINARY does not name the server to test: run `make interop`")
	}
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	args := append([]string{"serve", "--listen", s.address, "--admin", "", "--data", s.dataDir, "--ready-fd", "3"}, s.flags...)
	s.command = exec.Command(binary, args...)
	s.command.ExtraFiles = []*os.File{w}
	s.command.Stderr = s.log
	// A test that panics or is interrupted leaves no server behind.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = s.command.Start()
	w.Close()
	if err != nil {
		s.t.Fatalf("starting %s: %v", binary, err)
	}
	_ = r.SetReadDeadline(time.Now().Add(startTimeout))
	line, err := io.ReadAll(r)
	var ready struct{ Kafka string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		s.command = nil
		s.t.Fatalf("the server did not become ready: %v; it said:\n%s", err, s.log.tail(4096))
	}
	s.address = ready.Kafka
}

// stop ends the server as an operator would. One that does not end well fails the test.
func (s *server) stop() {
	s.t.Helper()
	s.end(syscall.SIGTERM, func(err error) bool { return err == nil })
}

// kill ends the server as the kernel does when memory is short.
func (s *server) kill() {
	s.t.Helper()
	s.end(syscall.SIGKILL, func(error) bool { return true })
}

func (s *server) end(signal syscall.Signal, well func(error) bool) {
	s.t.Helper()
	if s.command == nil {
		return
	}
	_ = s.command.Process.Signal(signal)
	ended := make(chan error, 1)
	go func() { ended <- s.command.Wait() }()
	select {
	case err := <-ended:
		if !well(err) {
			s.t.Errorf("the server ended with %v; it said:\n%s", err, s.log.tail(4096))
		}
	case <-time.After(startTimeout):
		_ = s.command.Process.Kill()
		<-ended
		s.t.Errorf("the server did not end within %v of %v; it said:\n%s", startTimeout, signal, s.log.tail(4096))
	}
	s.command = nil
}

// lockedBuffer collects what a process prints while a test may read it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) tail(n int) string {
	text := b.String()
	return text[max(0, len(text)-n):]
}

// need fails the test if a program is not there, with the line that installs it.
func need(t *testing.T, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is not installed: %s", program, install)
	}
}

// patience bounds every single client run: what takes longer hangs.
const patience = 90 * time.Second

// within is a context for one client run.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
