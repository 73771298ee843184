package segment

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"oneplusn/segment/mark"
)

// maxSmallFile bounds the memory that ReadFile allocates.
const maxSmallFile = 64 << 20

// ReadFile returns the content of a small file: one of more than 64 MiB is an error. It may block.
func ReadFile(fsys FS, path string) ([]byte, error) {
	f, err := fsys.Open(path, ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSmallFile {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are expected", path, info.Size(), maxSmallFile)
	}
	b := make([]byte, info.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("reading %s: %d of %d bytes: %w", path, n, len(b), err)
	}
	return b, nil
}

// ReplaceFile writes path.tmp, syncs it and renames it to path, so that a crash leaves the old content or the new, never a
// mixture; then it syncs the directory. It may block.
func ReplaceFile(fsys FS, path string, content []byte) error {
	if err := putFile(fsys, path, content); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// putFile is ReplaceFile for a caller that syncs the directory itself.
func putFile(fsys FS, path string, content []byte) error {
	temporary := path + temporarySuffix
	err := writeFile(fsys, temporary, content)
	if err == nil {
		err = fsys.Rename(temporary, path)
	}
	if err != nil {
		_ = fsys.RemoveAll(temporary)
	}
	return err
}

// temporarySuffix marks files that are being written. Open removes what a crash left of them.
const temporarySuffix = ".tmp"

// writeFile writes a file and makes its content durable, but not its name.
func writeFile(fsys FS, path string, content []byte) error {
	return fillFile(fsys, path, func(f File) error {
		_, err := f.WriteAt([][]byte{content}, 0)
		return err
	})
}

// fillFile is writeFile with the content that fill writes.
func fillFile(fsys FS, path string, fill func(File) error) error {
	f, err := fsys.Open(path, Create)
	if err != nil {
		return err
	}
	if err = f.Truncate(0); err == nil {
		err = fill(f)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readAside reads a file that the records can do without. If it does not parse it is lost: readAside renames it, so that it
// does not keep the log from opening. It does so for no file that it cannot read.
func (l *Log) readAside(path, instead string, parse func(text []byte) error) (lost bool, err error) {
	fsys := l.options.FS
	text, reason := ReadFile(fsys, path)
	if reason != nil && !errors.Is(reason, unix.EISDIR) {
		return false, fmt.Errorf("segment: %w", reason)
	}
	if reason == nil {
		if reason = parse(text); reason == nil {
			return false, nil
		}
	}
	aside, err := setAside(fsys, path)
	if err != nil {
		return false, fmt.Errorf("segment: %s cannot be parsed (%w) and not be renamed: %w", path, reason, err)
	}
	mark.Hit("a file of a partition could not be parsed")
	l.dirUnsynced = true
	l.options.Logger.Error("a file of a partition cannot be parsed: "+instead, "file", path, "error", reason, "kept_as", aside)
	return true, nil
}

// asideSuffix is added to the name of a file that cannot be parsed.
const asideSuffix = ".unreadable"

func setAside(fsys FS, path string) (aside string, err error) {
	aside = path + asideSuffix
	if err = fsys.RemoveAll(aside); err == nil {
		err = fsys.Rename(path, aside)
	}
	return aside, err
}

// SetAside renames a file that cannot be read, or a directory in its place, in favour of a new one. It may block.
func SetAside(fsys FS, path string) (aside string, err error) {
	if aside, err = setAside(fsys, path); err == nil {
		err = fsys.SyncDir(filepath.Dir(path))
	}
	return aside, err
}
