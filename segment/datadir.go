package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"oneplusn/segment/mark"
)

// Files of a data directory that belong to no partition, all of them Apache Kafka's too.
const (
	// CleanMarkFile marks a clean stop.
	CleanMarkFile = ".kafka_cleanshutdown"
	// LogStartFile holds the start offsets that [Log.DeleteRecords] moved.
	LogStartFile = "log-start-offset-checkpoint"
	// RecoveryPointFile holds the offsets below which logs are durable ([Log.DurableOffset]).
	RecoveryPointFile = "recovery-point-offset-checkpoint"
)

// TakeCleanMark reports whether the data directory was stopped cleanly, and removes the mark: from here on a crash counts as
// one. Call it before opening any log; if it fails, open none.
func TakeCleanMark(fsys FS, dataDir string) (clean bool, err error) {
	path := filepath.Join(dataDir, CleanMarkFile)
	_, unreadable := ReadFile(fsys, path)
	if errors.Is(unreadable, fs.ErrNotExist) {
		return false, nil
	}
	if err = fsys.RemoveAll(path); err == nil {
		err = fsys.SyncDir(dataDir)
	}
	if err != nil {
		return false, fmt.Errorf("segment: removing the mark of a clean stop: %w", err)
	}
	mark.HitIf(unreadable == nil, "a start followed a clean stop")
	return unreadable == nil, nil
}

// HasCleanMark reports whether the data directory was stopped cleanly, and leaves the mark.
func HasCleanMark(fsys FS, dataDir string) (bool, error) {
	_, err := ReadFile(fsys, filepath.Join(dataDir, CleanMarkFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("segment: reading the mark of a clean stop: %w", err)
	}
	return true, nil
}

// Partitions lists the directories of partitions in a data directory, sorted by name: those that hold a segment.
func Partitions(fsys FS, dataDir string) ([]string, error) {
	names, err := listNames(fsys, dataDir)
	if err != nil {
		return nil, fmt.Errorf("segment: listing the data directory: %w", err)
	}
	var found []string
	for _, name := range names {
		if IsDeleted(name) || strings.LastIndexByte(name, '-') < 1 {
			continue
		}
		files, err := listNames(fsys, filepath.Join(dataDir, name))
		if err == nil && len(offsetsOf(files, logSuffix)) > 0 {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// WriteCleanMark marks a data directory as stopped cleanly. Every log of it must have closed without an error.
func WriteCleanMark(fsys FS, dataDir string) error {
	// Kafka reads a broker epoch from it; -1 is none.
	const content = `{"version":0,"brokerEpoch":-1}`
	if err := ReplaceFile(fsys, filepath.Join(dataDir, CleanMarkFile), []byte(content)); err != nil {
		return fmt.Errorf("segment: marking a clean stop: %w", err)
	}
	return nil
}

// ReadCheckpoint reads an offset checkpoint file of Apache Kafka: offsets by the name of the partition's directory.
// A missing file is an empty one.
func ReadCheckpoint(fsys FS, path string) (map[string]int64, error) {
	text, err := ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]int64{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	offsets, err := parseCheckpoint(text)
	if err != nil {
		return nil, fmt.Errorf("segment: %s: %w: restore the file, or remove it to start without it", path, err)
	}
	return offsets, nil
}

// checkpointLines are the entries of a checkpoint file of Apache Kafka, which begins with a version and their number.
func checkpointLines(text []byte) ([]string, error) {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" {
		return nil, errors.New("it does not begin with version 0")
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("it says that %.20q entries follow, %d do", lines[1], len(lines)-2)
	}
	return lines[2:], nil
}

// parseCheckpoint reads lines of topic, partition and offset.
func parseCheckpoint(text []byte) (map[string]int64, error) {
	lines, err := checkpointLines(text)
	if err != nil {
		return nil, err
	}
	offsets := make(map[string]int64, len(lines))
	for i, line := range lines {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d has %d fields, it should have topic, partition and offset", i+3, len(fields))
		}
		offset, err := strconv.ParseInt(fields[2], 10, 64)
		if _, perr := strconv.ParseUint(fields[1], 10, 31); perr != nil || err != nil || offset < 0 {
			return nil, fmt.Errorf("line %d holds %q, it should be topic, partition and offset", i+3, line)
		}
		offsets[fields[0]+"-"+fields[1]] = offset
	}
	return offsets, nil
}

// WriteCheckpoint durably replaces an offset checkpoint file. It may block.
func WriteCheckpoint(fsys FS, path string, offsets map[string]int64) error {
	var lines []string
	for name, offset := range offsets {
		if cut := strings.LastIndexByte(name, '-'); cut > 0 {
			lines = append(lines, fmt.Sprintf("%s %s %d\n", name[:cut], name[cut+1:], offset))
		}
	}
	slices.Sort(lines)
	if err := ReplaceFile(fsys, path, fmt.Appendf(nil, "0\n%d\n%s", len(lines), strings.Join(lines, ""))); err != nil {
		return fmt.Errorf("segment: writing %s: %w", path, err)
	}
	return nil
}
