package fanout

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/conn"
	"oneplusn/ring"
)

// acceptKernel is a kernel whose accept may fail.
type acceptKernel struct {
	ring.Kernel
	fails func() error
}

func (k acceptKernel) Accept(socket int) (int, error) {
	if err := k.fails(); err != nil {
		return -1, err
	}
	return k.Kernel.Accept(socket)
}

// Whatever the error of accept(2), the server retries with a pause, logs the error, serves its connections, and accepts new ones
// when it can.
func TestAcceptThatFailsIsTriedAgainAndNeverSpins(t *testing.T) {
	for _, errno := range []syscall.Errno{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EINVAL, unix.EPROTO, unix.ENETDOWN,
		unix.ECONNABORTED, unix.EINTR, unix.EIO,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			var fails atomic.Bool
			var calls atomic.Int64
			s := startWith(t, nil, func(b *Broker) {
				b.newKernel = func(c ring.Config) (ring.Kernel, error) {
					k, err := ring.New(c)
					return acceptKernel{k, func() error {
						if calls.Add(1); fails.Load() {
							return errno
						}
						return nil
					}}, err
				}
			})
			good := s.dial()
			good.alive()
			fails.Store(true)
			before := calls.Load()
			late := s.dial() // the kernel completes it, and keeps it until it is accepted
			turns := s.stats().Turns
			s.await("some sweeps", func(st Stats) bool { return calls.Load() > before && st.Turns > turns+20 })
			if n, most := calls.Load()-before, int64(s.stats().Turns-turns+1)*conn.AcceptFailures; n > most {
				t.Errorf("accept was called %d times in %d turns", n, most/conn.AcceptFailures)
			}
			good.alive()
			fails.Store(false)
			late.alive()
			silent := errno == unix.ECONNABORTED || errno == unix.EINTR
			if said := strings.Contains(s.log.String(), "cannot accept connections"); said == silent {
				t.Errorf("the log says so: %v\n%s", said, s.log)
			}
		})
	}
}

// listenerProcess makes the test binary a server that is to be killed.
const listenerProcess = "ONEPLUSN_TEST_LISTENER"

// A port takes no connections for a server that was killed.
func TestPortIsClosedWithItsProcess(t *testing.T) {
	if dir := os.Getenv(listenerProcess); dir != "" {
		config := testConfig(t)
		config.DataDir = dir
		b, err := Open(config)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-b.Ready()
			_, _ = os.Stdout.WriteString("at " + b.Address() + "\n")
		}()
		_ = b.Run()
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPortIsClosedWithItsProcess$")
	cmd.Env = append(os.Environ(), listenerProcess+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	address, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "at ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line[:n], err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if ghost, err := net.Dial("tcp", address); err == nil {
		_ = ghost.Close()
		t.Error("the port takes connections though its process is gone")
	}
}
