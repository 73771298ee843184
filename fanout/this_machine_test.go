package fanout

import "testing"

func TestOnlyLocalFileSystemsAreWrittenToOnTheLoop(t *testing.T) {
	if onLocalFileSystem("/proc") || onLocalFileSystem("/does/not/exist") {
		t.Error("/proc is taken for a local disk")
	}
	if !onLocalFileSystem(t.TempDir()) {
		t.Error("the directory of temporary files is not taken for a local file system")
	}
}
