package fanout

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain opens the descriptors that the Go runtime keeps (its epoll), so that no test takes them for a leak.
func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	m.Run()
}

// patience bounds the wait for an expected event. A passing test never waits that long.
const patience = 30 * time.Second

// holdings are the descriptors and goroutines of the process.
type holdings struct {
	descriptors map[string]string // number to what it is
	goroutines  int
}

func held(t *testing.T) holdings {
	t.Helper()
	h := holdings{descriptors: make(map[string]string), goroutines: runtime.NumGoroutine()}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	self := fmt.Sprint(dir.Fd())
	for _, name := range names {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", name)); err == nil && name != self {
			h.descriptors[name] = target
		}
	}
	return h
}

// checkNothingLeft compares with earlier holdings. Descriptors are closed and goroutines end a moment after their waiters
// were told, so this waits for both.
func (h holdings) checkNothingLeft(t *testing.T) {
	t.Helper()
	var left string
	settled := eventually(func() bool {
		left = held(t).beyond(h)
		return left == ""
	})
	if !settled {
		t.Errorf("left behind: %s", left)
	}
}

// beyond lists the holdings that were not held before.
func (h holdings) beyond(before holdings) string {
	var more []string
	for number, target := range h.descriptors {
		if before.descriptors[number] != target {
			more = append(more, "descriptor "+number+" "+target)
		}
	}
	if n := h.goroutines - before.goroutines; n > 0 {
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		more = append(more, fmt.Sprintf("%d goroutines:\n%s", n, stacks))
	}
	return strings.Join(more, ", ")
}

// eventually asks until the answer is yes, and gives up after a while.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
