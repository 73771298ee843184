package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one deliberate bug.
type mutant struct {
	name   string
	breaks string // what the server does wrong with it
	edits  []edit
}

// edit puts one text in place of another, which stands exactly once in its file.
type edit struct{ path, old, new string }

// mutants are all bugs: first those that the server once had.
var mutants = slices.Concat(formerFaults, transferBugs, connectionBugs, requestBugs, commitBugs, logBugs, recoveryBugs, catalogBugs,
	groupBugs)

// change gives the files of the tree that a bug changes, by their path.
func (m mutant) change(root string) (map[string]string, error) {
	changed := make(map[string]string)
	for _, e := range m.edits {
		text, ok := changed[e.path]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.path))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			text = string(b)
		}
		if !strings.Contains(text, e.old) {
			text = withoutMarks(text)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: %s has this text %d times, and must have it once: %q", m.name, e.path, n, e.old)
		}
		changed[e.path] = strings.Replace(text, e.old, e.new, 1)
	}
	return changed, nil
}

// marks are lines that count coverage. A bug's text need not have them.
var marks = regexp.MustCompile(`(?m)^\t+mark\.Hit.*\n`)

func withoutMarks(text string) string {
	if without := marks.ReplaceAllString(text, ""); without != text {
		return without + "\nvar _ = mark.Hit // the import stays\n"
	}
	return text
}

// overlay writes the changed files into a directory, and the list of them that the compiler takes.
func (m mutant) overlay(root, dir string) (list string, err error) {
	changed, err := m.change(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for path, text := range changed {
		original, err := filepath.Abs(filepath.Join(root, path))
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[original] = file
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, b, 0o644)
}
