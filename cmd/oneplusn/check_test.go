package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oneplusn/segment"
	"oneplusn/segment/records"
)

// stoppedDataDir is a data directory after a clean stop: two partitions of three batches each.
func stoppedDataDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"orders-0", "orders-1"} {
		l, err := segment.Open(filepath.Join(dir, name), segment.Options{}, segment.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := l.Append(emptyRecordBatch(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := segment.WriteCleanMark(segment.OS, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// emptyRecordBatch is a batch of one record without key and value.
func emptyRecordBatch() []byte {
	b := append(make([]byte, records.HeaderSize), 12, 0, 0, 0, 1, 1, 0)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint64(b[43:], 1<<64-1)
	binary.BigEndian.PutUint16(b[51:], 1<<16-1)
	binary.BigEndian.PutUint32(b[53:], 1<<32-1)
	binary.BigEndian.PutUint32(b[57:], 1)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func fileContents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %x\n", path, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestCheckReportsEveryPartitionAndChangesNothing(t *testing.T) {
	dir := stoppedDataDir(t)
	code, stdout, stderr := command(t, "check", "--data", dir)
	if code != exitOK || stderr != "" || strings.Count(stdout, "\norders-") != 2 || !strings.Contains(stdout, "The last stop was clean") {
		t.Errorf("check: %d\n%s\n%s", code, stdout, stderr)
	}
	log := filepath.Join(dir, "orders-1", "00000000000000000000.log")
	if err := os.Truncate(log, 150); err != nil {
		t.Fatal(err)
	}
	before := fileContents(t, dir)
	code, stdout, stderr = command(t, "check", "--data", dir, "--json")
	var report checkReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if code != exitError || report.State != segment.StateDamaged || len(report.Partitions) != 2 ||
		report.Partitions[0].State != segment.StateOK {
		t.Errorf("check: %d, %+v", code, report)
	}
	if want := "oneplusn: check: 1 of 2 partitions are damaged\n"; stderr != want {
		t.Errorf("standard error has %q, want %q", stderr, want)
	}
	if fileContents(t, dir) != before {
		t.Error("check changed something")
	}
}

func TestRepairCutsWhatItsFlagNamesAndNothingElse(t *testing.T) {
	dir := stoppedDataDir(t)
	log := filepath.Join(dir, "orders-1", "00000000000000000000.log")
	if err := os.Truncate(log, 150); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"--cut-tail"}, {"--partition", "orders-1"}, {"--cut-tail", "--partition", "orders-1", "--all"}, {"--cut-tail", "--partition", "orders-7"},
	} {
		if code, _, stderr := command(t, append([]string{"repair", "--data", dir}, args...)...); code != exitUsage {
			t.Errorf("repair %v: %d, %s", args, code, stderr)
		}
	}
	code, stdout, stderr := command(t, "repair", "--data", dir, "--partition", "orders-1", "--cut-tail")
	if code != exitOK || !strings.Contains(stdout, "cut at 136") {
		t.Fatalf("repair: %d\n%s\n%s", code, stdout, stderr)
	}
	if kept, err := os.ReadFile(log + ".136.cut"); err != nil || len(kept) != 14 {
		t.Errorf("%d bytes were kept, %v", len(kept), err)
	}
	if code, stdout, stderr := command(t, "check", "--data", dir); code != exitOK {
		t.Errorf("check after the repair: %d\n%s\n%s", code, stdout, stderr)
	}
}

func TestRepairLeavesARunningServerAlone(t *testing.T) {
	dir := stoppedDataDir(t)
	unlock, err := segment.LockDataDir(segment.OS, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if code, _, stderr := command(t, "repair", "--data", dir, "--all", "--cut-tail"); code != exitError || !strings.Contains(stderr, "another process") {
		t.Errorf("repair: %d, %s", code, stderr)
	}
}

// A hole is given up where nothing was promised, and kept where the recovery point says that it was durable.
func TestCheckSaysWhatAStartWouldDoWithAHole(t *testing.T) {
	for name, row := range map[string]struct {
		points string // "" for none
		own    bool   // the topic was made here
		state  segment.State
		label  string
	}{
		"above the recovery point": {"0\n1\norders 0 1\n", true, segment.StateTorn, "unsynced-hole"},
		"below it":                 {"0\n1\norders 0 3\n", true, segment.StateDamaged, "durable-damage"},
		"younger than the file":    {"0\n0\n", true, segment.StateTorn, "unsynced-hole"},
		"copied here":              {"0\n0\n", false, segment.StateDamaged, "durable-damage"},
		"nothing is known":         {"", true, segment.StateDamaged, "durable-damage"},
		"unreadable":               {"x", true, segment.StateDamaged, "durable-damage"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := stoppedDataDir(t)
			log := filepath.Join(dir, "orders-0", "00000000000000000000.log")
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			clear(content[len(content)/3+20 : len(content)/3+40]) // in the second of three batches
			files := map[string]string{log: string(content)}
			if row.points != "" {
				files[filepath.Join(dir, segment.RecoveryPointFile)] = row.points
			}
			if row.own {
				files[filepath.Join(dir, "orders-0", "topic.properties")] = ""
			}
			for path, content := range files {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Remove(filepath.Join(dir, segment.CleanMarkFile)); err != nil {
				t.Fatal(err)
			}
			_, stdout, stderr := command(t, "check", "--data", dir, "--json", "--partition", "orders-0")
			var report checkReport
			if err := json.Unmarshal([]byte(stdout), &report); err != nil {
				t.Fatalf("%v in %s", err, stdout)
			}
			if s := report.Partitions[0].Segments[0]; report.State != row.state || s.Case != row.label || s.NextOffset != 1 {
				t.Errorf("%s: %+v", report.State, s)
			}
			if strings.Contains(stderr, "warning") != (row.points == "x") {
				t.Errorf("standard error has %q", stderr)
			}
		})
	}
}
