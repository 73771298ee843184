package main

import (
	"io"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Without a free descriptor the server says so and serves its connections; waiting clients are accepted when one closes.
func TestServerWithoutDescriptorsServesOnAndRecovers(t *testing.T) {
	s := serveChildFrom(t, func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `ulimit -n 64; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}, "--max-connections", "1000")
	request := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)
	const clients = 100 // above the limit of open files, below the backlog of the listener
	answered := make(chan net.Conn, clients)
	for range clients {
		conn, err := net.Dial("tcp", s.Kafka)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(conn, make([]byte, 4)); err == nil {
				answered <- conn
			}
		}()
	}
	s.logged("cannot accept connections")
	s.logged("raise the limit on open files")
	for n := range clients {
		select {
		case conn := <-answered:
			_ = conn.Close()
		case <-time.After(patience):
			t.Fatalf("%d of %d clients were answered:\n%s", n, clients, &s.log)
		}
	}
	if got := s.page("/healthz"); got != "ok\n" {
		t.Errorf("/healthz: %q", got)
	}
}
