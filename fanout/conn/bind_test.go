package conn

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAPortThatIsAboutToBeFreeIsTaken: a server that is started right after another was killed finds its port busy for
// a moment.
func TestAPortThatIsAboutToBeFreeIsTaken(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	release := time.AfterFunc(100*time.Millisecond, func() { _ = busy.Close() })
	defer release.Stop()
	l, err := Bind(busy.Addr().String(), 0, BusyPortWait)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Address() != busy.Addr().String() {
		t.Errorf("bound to %s, wanted %s", l.Address(), busy.Addr())
	}
}

func TestAPortThatStaysBusyIsSaidSo(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	_, err = Bind(busy.Addr().String(), 0, 2*BusyPortPoll)
	if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "choose another with --listen") {
		t.Errorf("binding a port in use: %v", err)
	}
}
