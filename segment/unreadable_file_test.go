package segment

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A log does not need the files beside it, whatever their damage: its records are served, and appended batches have
// an epoch that no record has.
func TestDamagedFileBesideALogKeepsNobodyFromItsRecords(t *testing.T) {
	write := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	for name, damage := range map[string]func(path string) error{
		"empty": write(""), "cut": write("0\n1"), "text": write("what is this?"), "zeros": write(string(make([]byte, 4096))),
		"lost": os.Remove,
		"a directory": func(path string) error {
			_ = os.Remove(path)
			return os.Mkdir(path, 0o700)
		},
	} {
		for _, file := range []string{epochFile, partitionFile} {
			t.Run(name+" "+file, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "t-0")
				o := Options{TopicID: [16]byte{7}, LeaderEpoch: 3}
				l := openLog(t, dir, o, OpenOptions{})
				mustAppend(t, l, testBatch{records: 1, timestamp: 1000, value: 9})
				mustClose(t, l)
				if err := damage(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				l = openLog(t, dir, Options{}, OpenOptions{Clean: true})
				if got := readAll(t, l, 0, 500); len(got) != 1 || got[0].LeaderEpoch != 3 {
					t.Errorf("%d batches, want that of epoch 3", len(got))
				}
				if got, lost := l.LeaderEpoch(), file == epochFile && name != "empty" && name != "lost"; got < 3 || lost && got < 4 {
					t.Errorf("an appended batch has epoch %d, the last batch has 3", got)
				}
				mustClose(t, l)
			})
		}
	}
}

// fullFS has no room for another file.
type fullFS struct{ FS }

func (f fullFS) Open(path string, access Access) (File, error) {
	if access == Create {
		return nil, unix.ENOSPC
	}
	return f.FS.Open(path, access)
}

// A full disk at a start after a crash does not prevent reads, and the log begins its new epoch.
func TestStartAfterACrashOnAFullDiskServesTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "t-0")
	l := openLog(t, dir, Options{}, OpenOptions{})
	mustAppend(t, l, testBatch{records: 1, timestamp: 1000, value: 9})
	for epoch := int32(1); epoch < 12; epoch++ { // so that the file gets longer too
		l = openLog(t, dir, Options{FS: fullFS{OS}}, OpenOptions{})
		if got := readAll(t, l, 0, 500); len(got) != int(epoch) || l.LeaderEpoch() != epoch {
			t.Fatalf("%d batches of %d, epoch %d", len(got), epoch, l.LeaderEpoch())
		}
		mustAppend(t, l, testBatch{records: 1, timestamp: 1000, value: 9})
	}
	l = openLog(t, dir, Options{}, OpenOptions{})
	if n := len(l.epochs); n != 13 || l.LeaderEpoch() != 12 {
		t.Errorf("%d epochs, the last is %d", n, l.LeaderEpoch())
	}
	mustClose(t, l)
}
