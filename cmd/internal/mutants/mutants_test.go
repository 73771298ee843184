package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// What a bug replaces stands once in its file, and changes something: a bug whose text is gone would be found for ever.
func TestEveryBugStillChangesTheServer(t *testing.T) {
	names := make(map[string]bool)
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("%s stands in the tables twice", m.name)
		}
		names[m.name] = true
		changed, err := m.change(root)
		if err != nil {
			t.Error(err)
		}
		for path, text := range changed {
			if original, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(original) == text {
				t.Errorf("%s changes nothing in %s: %v", m.name, path, err)
			}
		}
		if len(m.edits) == 0 || m.breaks == "" || strings.ContainsAny(m.name, " /") {
			t.Errorf("%q needs a name without blanks, a sentence and an edit", m.name)
		}
	}
}

func TestVerdictIsReadFromWhatTheSimulationPrints(t *testing.T) {
	failed := errors.New("exit status 1")
	for _, c := range []struct {
		output   string
		err      error
		outcome  outcome
		seed, at string
		said     string
	}{
		{"PASS\n", nil, survived, "", "", ""},
		{"    run_test.go:28: seed 7, --fsync=always, 2.1s after the start:\n        at 1.5s: record p0/1 is gone\n\n        again: make sim SEED=7\n",
			failed, found, "7", "1.5s", "record p0/1 is gone"},
		{"    run_test.go:36: seed 4, --fsync=never:\n        at 12ms: panic: commit: no\n        goroutine 5 [running]:\n        again: make sim SEED=4\n",
			failed, panicked, "4", "12ms", "commit: no"},
		{"again: make sim SEED=9\npanic: segment: no room\n\ngoroutine 1 [running]:\n", failed, panicked, "9", "", "segment: no room"},
		{"panic: out of luck\n", failed, panicked, "", "", "out of luck"},
		{"killed\n", failed, unreadable, "", "", "killed"},
	} {
		var v verdict
		v.read([]byte(c.output), c.err, nil)
		if v.outcome != c.outcome || v.seed != c.seed || v.at != c.at || v.said != c.said {
			t.Errorf("%q is read as %q, seed %q, at %q: %q", c.output, v.outcome, v.seed, v.at, v.said)
		}
	}
}
