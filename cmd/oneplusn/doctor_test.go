package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oneplusn/ring/probe"
)

func TestDoctorSaysThatThisHostServes(t *testing.T) {
	code, stdout, stderr := command(t, "doctor", "--data", t.TempDir())
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	for _, name := range []string{"kernel", "io_uring_setup", "opcodes", "worker cap", "pipe size", "file descriptors", "tcp_wmem", "data directory"} {
		if !strings.Contains(stdout, name) {
			t.Errorf("nothing is said of %s:\n%s", name, stdout)
		}
	}
}

func TestDoctorPrintsTheSameAsJSON(t *testing.T) {
	code, stdout, _ := command(t, "doctor", "--json", "--data", t.TempDir())
	var report probe.Report
	if err := json.Unmarshal([]byte(stdout), &report); code != exitOK || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stdout)
	}
	if c, ok := report.Check("data directory"); !ok || !strings.Contains(c.Found, os.TempDir()) {
		t.Errorf("the data directory's check is %+v", c)
	}
}

func TestDoctorExitsOneIfTheServerCouldNotRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t, "doctor", "--data", file)
	if code != exitError || !strings.Contains(stderr, "is not a directory") || !strings.Contains(stderr, "--data") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if !strings.Contains(stdout, "FAIL") || !strings.Contains(stdout, "remedy: ") {
		t.Errorf("the table does not show what failed:\n%s", stdout)
	}
	checkOneLine(t, "doctor", stderr)
}
