package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// outcome is how a bug ends.
type outcome string

const (
	found      outcome = "found"    // by a check of the simulation
	panicked   outcome = "panics"   // by an assertion of the server, or by Go
	hangs      outcome = "hangs"    // the process had to be ended
	survived   outcome = "survives" // no seed fails
	unbuilt    outcome = "does not build"
	unreadable outcome = "fails without a seed"
)

// verdict is what came of one bug.
type verdict struct {
	mutant
	outcome outcome
	seed    string
	at      string // simulated time since the start of the machine
	said    string
	took    time.Duration
}

// caught says whether a seed shows the bug.
func (v *verdict) caught() bool { return v.seed != "" }

// judge builds and runs the simulation with one bug.
func (h *hunt) judge(ctx context.Context, m mutant) *verdict {
	v := &verdict{mutant: m}
	dir := filepath.Join(h.dir, m.name)
	binary := filepath.Join(dir, "scenario.test")
	defer os.RemoveAll(dir)
	if output, err := h.build(ctx, m, dir, binary); err != nil {
		v.outcome, v.said = unbuilt, firstLine(fmt.Sprintf("%v: %s", err, output))
		return v
	}
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	run := exec.CommandContext(limited, binary, "-test.run=^TestSimulatedServerKeepsItsPromises$", "-test.timeout=0", fmt.Sprintf("-sim.seeds=%d", h.seeds))
	run.Dir = filepath.Join(h.root, "fanout/scenario")
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGQUIT) } // Go says where it stands
	run.WaitDelay = 10 * time.Second
	output, err := run.CombinedOutput()
	v.took = time.Since(start).Round(time.Second)
	v.read(output, err, limited.Err())
	return v
}

// build compiles the simulation with the bug, and with every assertion.
func (h *hunt) build(ctx context.Context, m mutant, dir, binary string) (output []byte, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	list, err := m.overlay(h.root, dir)
	if err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-tags=invariants", "-overlay="+list, "-o", binary, "./fanout/scenario")
	build.Dir = h.root
	return build.CombinedOutput()
}

var (
	again   = regexp.MustCompile(`again: make sim SEED=(\d+)`)
	failure = regexp.MustCompile(`(?m)^\s*at ([0-9.]+[a-zµ0-9.]*): (.*)$`)
	panicOf = regexp.MustCompile(`(?m)^(?:panic|fatal error): (.*)$`)
)

// read takes a verdict from what the simulation printed.
func (v *verdict) read(output []byte, err, late error) {
	if m := again.FindSubmatch(output); m != nil {
		v.seed = string(m[1])
	}
	said := failure.FindSubmatch(output)
	if said != nil {
		v.at, v.said = string(said[1]), string(said[2])
	}
	death := panicOf.FindSubmatch(output)
	switch {
	case err == nil:
		v.outcome = survived
	case errors.Is(late, context.DeadlineExceeded):
		v.outcome, v.said = hangs, "no end"
	case death != nil:
		v.outcome, v.said = panicked, string(death[1])
	case v.seed == "":
		v.outcome, v.said = unreadable, firstLine(string(bytes.TrimSpace(output)))
	default:
		v.outcome = found
	}
	if rest, ok := strings.CutPrefix(v.said, "panic: "); ok && v.outcome == found { // the simulation has caught it
		v.outcome, v.said = panicked, rest
	}
	v.said = strings.TrimSuffix(v.said, " [recovered, repanicked]")
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return ""
}
