package catalog

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"oneplusn/segment"
)

// removal is a set of partitions to remove, now or if the server ends before they are complete. A file in the data directory, the
// mark, lists them: once it is durable, the next start removes the directories of those partitions before it serves anything.
// So a topic is deleted with all of its partitions or not at all, whatever fails and whenever the server ends, and one that is
// only half made never shows:
//
//	delete:  announce ---> [the topic is gone] ---> sweep, again until it works ---> withdraw
//	create:  announce ---> make the directories ---> withdraw ---> [the topic is there]
//
// The removal of the mark is durable before the names may be used again. Its methods may block; they run off the loop, and may
// be called from several goroutines.
type removal struct {
	fs     segment.FS
	random func([]byte)
	dir    string // the data directory
	mark   string // the mark's path

	mu        sync.Mutex
	parts     []removedPartitions
	withdrawn bool
}

// removedPartitions are the partitions of a topic from first up to but without end. A directory beyond is not the server's.
type removedPartitions struct {
	topic      string
	first, end int32
}

func (p removedPartitions) has(topic string, index int32) bool {
	return p.topic == topic && index >= p.first && index < p.end
}

func (c *Catalog) newRemoval(parts []removedPartitions) *removal {
	var id [16]byte
	c.loop.Random(id[:])
	mark := filepath.Join(c.config.Dir, MarkPrefix+hex.EncodeToString(id[:]))
	return &removal{fs: c.config.FS, random: c.loop.Random, dir: c.config.Dir, parts: parts, mark: mark}
}

const (
	// MarkPrefix begins the names of marks.
	MarkPrefix = "removal."
	markHead   = "oneplusn: these partitions are to be removed, from the first number up to but without the second"
	markEnd    = "end"
)

var (
	markName     = regexp.MustCompile(`^removal\.[0-9a-f]{32}$`)
	markHalfName = regexp.MustCompile(`^removal\.[0-9a-f]{32}\.tmp$`)
)

// announce writes the mark. After an error it tries to leave none.
func (r *removal) announce() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintln(&b, markHead)
	for _, p := range r.parts {
		if strings.ContainsAny(p.topic, " \n") {
			return fmt.Errorf("topic %q was not made here: move its directories away by hand", p.topic)
		}
		fmt.Fprintln(&b, p.topic, p.first, p.end)
	}
	fmt.Fprintln(&b, markEnd)
	if err := segment.ReplaceFile(r.fs, r.mark, b.Bytes()); err != nil {
		err = fmt.Errorf("writing the mark of partitions to remove: %w", err)
		return errors.Join(err, r.removeMark())
	}
	return nil
}

// narrow reduces the removal to those parts. The mark keeps the others until it is announced again.
func (r *removal) narrow(parts []removedPartitions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = parts
}

// withdraw removes the mark, and makes that durable, and all names that were made or renamed before.
func (r *removal) withdraw() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fs.SyncDir(r.dir); err != nil { // first: without the mark the names must be final
		return fmt.Errorf("syncing the data directory: %w", err)
	}
	if err := r.removeMark(); err != nil {
		return err
	}
	r.withdrawn = true
	return nil
}

func (r *removal) removeMark() error {
	err := r.fs.RemoveAll(r.mark)
	if err == nil {
		err = r.fs.SyncDir(r.dir)
	}
	if err != nil {
		return fmt.Errorf("%s could not be removed: %w: remove it, or the next start removes the partitions that it names", r.mark, err)
	}
	return nil
}

// sweep moves every directory aside that the mark names and that still exists, and returns their new paths. Nobody may use
// them by name any more.
func (r *removal) sweep() (aside []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.withdrawn {
		return nil, nil // the names may be in use again
	}
	entries, err := r.fs.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the data directory: %w", err)
	}
	byTopic := make(map[string]removedPartitions, len(r.parts))
	for _, p := range r.parts {
		byTopic[p.topic] = p
	}
	var errs []error
	for _, e := range entries {
		name, index, ok := ParseDirectory(e.Name())
		if !e.IsDir() || !ok || !byTopic[name].has(name, index) {
			continue
		}
		moved, err := segment.MoveAside(r.fs, filepath.Join(r.dir, e.Name()), r.random)
		if err == nil {
			aside = append(aside, moved)
		}
		errs = append(errs, err)
	}
	return aside, errors.Join(errs...)
}

// readRemoval reads a mark. ok is false for a file that has the name of a mark but not the content.
func readRemoval(fs segment.FS, random func([]byte), path string) (r *removal, ok bool, err error) {
	text, err := segment.ReadFile(fs, path)
	if err != nil {
		return nil, false, err
	}
	r = &removal{fs: fs, random: random, dir: filepath.Dir(path), mark: path}
	lines := bufio.NewScanner(bytes.NewReader(text))
	if !lines.Scan() || lines.Text() != markHead {
		return nil, false, nil
	}
	for lines.Scan() {
		if lines.Text() == markEnd {
			return r, !lines.Scan(), nil
		}
		fields := strings.Split(lines.Text(), " ")
		if len(fields) != 3 {
			return nil, false, nil
		}
		first, err := strconv.ParseInt(fields[1], 10, 32)
		end, eerr := strconv.ParseInt(fields[2], 10, 32)
		if err != nil || eerr != nil || first < 0 || end <= first {
			return nil, false, nil
		}
		r.parts = append(r.parts, removedPartitions{fields[0], int32(first), int32(end)})
	}
	return nil, false, nil
}
