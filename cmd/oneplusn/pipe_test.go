package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// piped is a command that runs as a process of its own, as it does in a shell.
type piped struct {
	*exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr output
}

func startPiped(t *testing.T, args ...string) *piped {
	t.Helper()
	p := &piped{Cmd: exec.Command(os.Args[0], args...)}
	p.Env = append(os.Environ(), asMain+"=1")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if p.stdin, err = p.StdinPipe(); err == nil {
		err = p.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// interrupt acts like Ctrl-C, and expects the command to end without an error.
func (p *piped) interrupt(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("after SIGINT %v: %v; it said %q", p.Args[1:], err, p.stderr.String())
	}
}

func TestPubAndSubWorkInAShell(t *testing.T) {
	address := startBroker(t)
	publish(t, address, "chat", "before\n")
	sub := startPiped(t, "sub", "chat", "--server", address, "--from", "beginning")
	await(t, func() bool { return sub.stdout.String() == "before\n" })
	pub := startPiped(t, "pub", "chat", "--server", address)
	for _, line := range []string{"hello\n", "world\n"} {
		if _, err := io.WriteString(pub.stdin, line); err != nil {
			t.Fatal(err)
		}
		// Its standard input stays open: a line is published when it comes, not at the end.
		await(t, func() bool { return strings.HasSuffix(sub.stdout.String(), line) })
	}
	pub.interrupt(t)
	if !strings.Contains(pub.stderr.String(), "published 2 records, 10 B, to chat") {
		t.Errorf("pub said %q", pub.stderr.String())
	}
	sub.interrupt(t)
	if got := sub.stdout.String(); got != "before\nhello\nworld\n" {
		t.Errorf("sub printed %q", got)
	}
}

func TestAnInterruptedMemberLeavesItsGroup(t *testing.T) {
	onEachServer(t, func(t *testing.T, address string) {
		publish(t, address, "jobs", numbered(10))
		member := startPiped(t, "sub", "jobs", "--server", address, "--group", "g", "--from", "beginning")
		await(t, func() bool { return member.stdout.String() == numbered(10) })
		member.interrupt(t)
		described := succeed(t, "groups", "describe", "g", "--server", address)
		if !strings.HasPrefix(described, "group g: Empty, 0 members") || !strings.Contains(described, "lag 0\n") {
			t.Errorf("after it has left the group is\n%s", described)
		}
	})
}
