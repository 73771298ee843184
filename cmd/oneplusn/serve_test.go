package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// served is `oneplusn serve` as a child process.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    output
	exited chan struct{}
	Kafka  string `json:"kafka"`
	Admin  string `json:"admin"`
	PID    int    `json:"pid"`
}

func serveCommandLine(t *testing.T, flags ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir()}, flags...)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	return cmd
}

// serveChild runs the server until it says that it is ready.
func serveChild(t *testing.T, flags ...string) *served {
	t.Helper()
	return serveChildFrom(t, func(*exec.Cmd) {}, flags...)
}

// serveChildFrom is serveChild with a change to how the process is started.
func serveChildFrom(t *testing.T, change func(*exec.Cmd), flags ...string) *served {
	t.Helper()
	s := &served{t: t, cmd: serveCommandLine(t, append(flags, "--ready-fd", "3")...), exited: make(chan struct{})}
	change(s.cmd)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.ExtraFiles = []*os.File{write}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
	})
	line, err := bufio.NewReader(read).ReadString('\n')
	_ = read.Close()
	if err != nil {
		t.Fatalf("no line came on the ready descriptor: %v\n%s", err, &s.log)
	}
	if err := json.Unmarshal([]byte(line), s); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if s.PID != s.cmd.Process.Pid {
		t.Errorf("the line says pid %d, it is %d", s.PID, s.cmd.Process.Pid)
	}
	return s
}

// signal sends a signal, which the test has to see the effect of.
func (s *served) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// exitCode waits for the end.
func (s *served) exitCode() int {
	s.t.Helper()
	select {
	case <-s.exited:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("the server does not end:\n%s", &s.log)
		return -1
	}
}

// logged waits for a piece of text in the log.
func (s *served) logged(text string) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !strings.Contains(s.log.String(), text); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("%q is not in the log:\n%s", text, &s.log)
		}
	}
}

// fetch asks for up to 50 MiB of a topic, and returns the connection from which the response is to be read.
func (s *served) fetch(topic string, offset int64, maxWait time.Duration) net.Conn {
	s.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MinBytes, req.MaxBytes = 11, -1, 1, 50<<20
	req.MaxWaitMillis = int32(maxWait.Milliseconds())
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 50<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	conn, err := net.Dial("tcp", s.Kafka)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// readWhole reads one response and then the end of the connection.
func readWhole(conn net.Conn) (*kmsg.FetchResponse, error) {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	all, err := io.ReadAll(conn)
	if err != nil {
		return nil, err
	}
	if len(all) < 8 || int(binary.BigEndian.Uint32(all)) != len(all)-4 {
		return nil, fmt.Errorf("%d bytes came, which are not one whole response", len(all))
	}
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 11
	return resp, resp.ReadFrom(all[8:])
}

func TestServeStopsOnSIGTERMWhenAllInFlightIsDone(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			s := serveChild(t, "--send-buffer", "64KiB", "--drain-timeout", "1m")
			publish(t, s.Kafka, "feed", numbered(400_000), "--compression", "none")
			underWay := s.fetch("feed", 0, 0)
			first := make([]byte, 1)
			if _, err := io.ReadFull(underWay, first); err != nil {
				t.Fatal(err)
			}
			waiting := s.fetch("feed", 400_000, time.Hour)
			s.fetchesBecome(2)
			s.signal(sig)
			s.logged("stopping")
			resp, err := readWhole(waiting)
			if err != nil || len(resp.Topics[0].Partitions[0].RecordBatches) != 0 {
				t.Errorf("the waiting fetch: %+v, %v", resp, err)
			}
			resp, err = readWhole(&replayed{underWay, bytes.NewReader(first)})
			if err != nil || len(resp.Topics[0].Partitions[0].RecordBatches) < 4_000_000 {
				t.Errorf("the response that was under way: %v", err)
			}
			if code := s.exitCode(); code != exitOK {
				t.Errorf("exit code %d:\n%s", code, &s.log)
			}
			if log := s.log.String(); !strings.Contains(log, "level=INFO msg=stopped") || strings.Contains(log, "level=ERROR") {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}

// replayed gives back bytes that were read already, before the rest.
type replayed struct {
	net.Conn
	first io.Reader
}

func (r *replayed) Read(b []byte) (int, error) {
	if n, err := r.first.Read(b); err == nil {
		return n, nil
	}
	return r.Conn.Read(b)
}

// fetchesBecome waits until the server has received n fetches.
func (s *served) fetchesBecome(n int) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		var stats struct {
			Requests map[string]int `json:"requests"`
		}
		if err := json.Unmarshal([]byte(s.page("/stats")), &stats); err != nil {
			s.t.Fatal(err)
		}
		if stats.Requests["Fetch"] == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d fetches came, want %d", stats.Requests["Fetch"], n)
		}
	}
}

func (s *served) page(path string) string {
	s.t.Helper()
	resp, err := http.Get("http://" + s.Admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d, %v: %s", path, resp.StatusCode, err, body)
	}
	return string(body)
}

func TestSecondSignalStopsAtOnceAndExitsOne(t *testing.T) {
	s := serveChild(t, "--send-buffer", "64KiB", "--drain-timeout", "1h")
	publish(t, s.Kafka, "feed", numbered(1_000_000), "--compression", "none")
	stalled := s.fetch("feed", 0, 0)
	s.fetchesBecome(1)
	s.signal(syscall.SIGTERM)
	s.logged("stopping")
	s.signal(syscall.SIGTERM)
	if code := s.exitCode(); code != exitError {
		t.Errorf("exit code %d, want %d:\n%s", code, exitError, &s.log)
	}
	if !strings.Contains(s.log.String(), "stopping at once") {
		t.Errorf("the log:\n%s", &s.log)
	}
	_ = stalled.Close()
}

func TestServeAnswersOnItsAdminPages(t *testing.T) {
	s := serveChild(t, "--ring-size", "100")
	if got := s.page("/healthz"); got != "ok\n" {
		t.Errorf("/healthz: %q", got)
	}
	if got := s.page("/metrics"); !strings.Contains(got, "oneplusn_up 1") {
		t.Errorf("/metrics:\n%s", got)
	}
	var stats struct {
		RingSize int `json:"ring_size"`
		PID      int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(s.page("/stats")), &stats); err != nil || stats.RingSize != 128 || stats.PID != s.PID {
		t.Errorf("/stats: %+v, %v, want ring size 128 of process %d", stats, err, s.PID)
	}
	s.logged("ring size rounded up to a power of two")
	s.logged("msg=ready kafka=" + s.Kafka + " admin=" + s.Admin)
}

// What keeps the server from starting is one line on standard error and exit code 1, and nothing else stays behind.
func TestServeThatCannotStartSaysWhyInOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		flags []string
		says  []string
	}{
		{[]string{"--listen", taken.Addr().String()}, []string{taken.Addr().String(), "address already in use", "--listen"}},
		{[]string{"--admin", taken.Addr().String()}, []string{taken.Addr().String(), "address already in use", "--admin"}},
		{[]string{"--data", file}, []string{file, "not a directory", "--data"}},
		{[]string{"--data", "/proc/self/no"}, []string{"/proc/self/no", "--data"}},
		{[]string{"--listen", "no.such.host.invalid:0"}, []string{"no.such.host.invalid", "--listen"}},
	} {
		cmd := serveCommandLine(t, row.flags...)
		var stdout, stderr output
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitError || stdout.String() != "" {
			t.Errorf("%v: %v, %q, %q", row.flags, err, stdout.String(), stderr.String())
		}
		checkOneLine(t, strings.Join(row.flags, " "), stderr.String())
		if n := strings.Count(stderr.String(), "\n"); n != 1 {
			t.Errorf("%v: %d lines: %q", row.flags, n, stderr.String())
		}
		for _, text := range row.says {
			if !strings.Contains(stderr.String(), text) {
				t.Errorf("%v: %q does not say %q", row.flags, stderr.String(), text)
			}
		}
	}
}

func TestReadyFDThatIsNotOpenForWritingIsRefused(t *testing.T) {
	for _, fd := range []string{"77", "3", "4", "5", "0"} {
		cmd := serveCommandLine(t, "--ready-fd", fd)
		var stderr output
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(stderr.String(), "--ready-fd "+fd+" is not open for writing") {
			t.Errorf("--ready-fd %s: %v, %q", fd, err, stderr.String())
		}
		checkOneLine(t, fd, stderr.String())
	}
}

func TestAColdCacheWithoutEffectIsSaid(t *testing.T) {
	for _, row := range []struct {
		flags []string
		says  string
	}{
		{[]string{"--cold-cache", "0", "--readahead", "4MiB"}, `reason="--cold-cache is 0"`},
		{[]string{"--transfer", "sendfile"}, "--transfer sendfile does not look at the page cache"},
	} {
		s := serveChild(t, row.flags...)
		s.logged("--cold-cache and --readahead have no effect")
		s.logged(row.says)
		s.signal(os.Interrupt)
		if code := s.exitCode(); code != exitOK {
			t.Errorf("%v: exit code %d", row.flags, code)
		}
	}
}
