//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// corpusLines is the least number of lines of the file that clients publish.
const corpusLines = 100_000

// corpus is a real text: Go's own source files, in a fixed order, each line numbered. The numbers make every line
// different, and none empty: kcat leaves empty lines out, so a file that has some could not come back byte for byte.
type corpus struct {
	path  string
	lines int
	bytes int64
	sum   string // SHA-256 of the file, in hexadecimal
}

var theCorpus = sync.OnceValues(makeCorpus)

// readCorpus makes the file at the first call. It is shared by the tests and only read.
func readCorpus(t *testing.T) corpus {
	t.Helper()
	c, err := theCorpus()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func makeCorpus() (corpus, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return corpus{}, fmt.Errorf("asking go for GOROOT: %w", err)
	}
	var text bytes.Buffer
	c := corpus{path: filepath.Join(os.TempDir(), fmt.Sprintf("oneplusn-interop-%d.txt", os.Getpid()))}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "net")
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		content, err := os.ReadFile(path)
		for line := range strings.Lines(string(content)) {
			c.lines++
			fmt.Fprintf(&text, "%06d %s\n", c.lines, strings.TrimSuffix(line, "\n"))
		}
		return err
	})
	if err != nil {
		return corpus{}, err
	}
	if c.lines < corpusLines {
		return corpus{}, fmt.Errorf("%s has %d lines of Go, at least %d are needed", source, c.lines, corpusLines)
	}
	sum := sha256.Sum256(text.Bytes())
	c.bytes, c.sum = int64(text.Len()), hex.EncodeToString(sum[:])
	return c, os.WriteFile(c.path, text.Bytes(), 0o600)
}

// each calls f with every line of the corpus, without its newline.
func (c corpus) each(f func(line []byte)) error {
	file, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		f(scanner.Bytes())
	}
	return scanner.Err()
}

// TestMain removes the corpus.
func TestMain(m *testing.M) {
	m.Run()
	if c, err := theCorpus(); err == nil {
		_ = os.Remove(c.path)
	}
}
