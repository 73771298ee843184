//go:build interop

package interop

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// smallDisk mounts a file system in memory of its own, which takes the right to mount.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mounting a small tmpfs: %v (run as root, or in a namespace: unshare -rm)", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// publishOnce produces one record of a size by one request without retries, and returns the server's error.
func publishOnce(t *testing.T, client *kgo.Client, topic string, size int) error {
	t.Helper()
	batch := kmsg.RecordBatch{Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1,
		FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli()}
	r := kmsg.Record{Value: []byte(strings.Repeat("x", size))}
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	batch.Records = r.AppendTo(nil)
	batch.Length = int32(49 + len(batch.Records))
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = raw
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(within(t), client)
	if err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func TestFullDiskRefusesUntilThereIsSpaceAndLosesNothing(t *testing.T) {
	dir := smallDisk(t, "24m")
	s := startServer(t, dir, "--segment-bytes", "4MiB")
	client := newProbe(t, s)
	createTopic(t, s.address, "feed", 1)
	acknowledged := 0
	var err error
	for range 100 {
		if err = publishOnce(t, client, "feed", 500<<10); err != nil {
			break
		}
		acknowledged++
	}
	if !errors.Is(err, kerr.KafkaStorageError) {
		t.Fatalf("after %d records on a full disk: %v", acknowledged, err)
	}
	if n := countBatches(t, s.address, "feed").records; n != acknowledged {
		t.Errorf("%d records can be read, %d were acknowledged", n, acknowledged)
	}
	if !strings.Contains(s.log.String(), "free space") {
		t.Errorf("the log does not say what to do:\n%s", s.log)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := publishOnce(t, client, "feed", 500<<10); err != nil {
			t.Fatalf("there is space again: %v", err)
		}
		acknowledged++
	}
	s.kill()
	s.start()
	if n := countBatches(t, s.address, "feed").records; n != acknowledged {
		t.Errorf("%d records are there after a kill, %d were acknowledged", n, acknowledged)
	}
}

// brokenDisk mounts an ext4 in a file. breakIt reports an error to the file system, which then becomes read-only under
// the files that are open, as it does after an I/O error of its journal; mendIt mounts it again.
func brokenDisk(t *testing.T) (dir string, breakIt, mendIt func()) {
	t.Helper()
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	run := func(command string, args ...string) string {
		t.Helper()
		out, err := exec.Command(command, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s (it takes root, loop devices and e2fsprogs)", command, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("truncate", "--size", "64M", image)
	run("mkfs.ext4", "-q", image)
	mount := func() { run("mount", "-o", "loop,errors=remount-ro", image, dir) }
	mount()
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", dir).Run() })
	return dir, func() {
			device := filepath.Base(run("findmnt", "-no", "SOURCE", dir))
			if err := os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("test"), 0); err != nil {
				t.Fatal(err)
			}
		}, func() {
			run("umount", dir)
			_ = exec.Command("fsck.ext4", "-y", image).Run() // it says with its exit code that it had something to do
			mount()
		}
}

// fullBelow mounts an ext4 in a file that has no room for all of it. breakIt takes the room that is left, from which on
// writes to fresh blocks are I/O errors, told by fsync; mendIt gives it back and mounts the file system again.
func fullBelow(t *testing.T) (dir string, breakIt, mendIt func()) {
	t.Helper()
	below, dir := smallDisk(t, "24m"), t.TempDir()
	image, ballast := filepath.Join(below, "image"), filepath.Join(below, "ballast")
	run := func(command string, args ...string) {
		t.Helper()
		if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s (it takes root, loop devices and e2fsprogs)", command, args, err, out)
		}
	}
	run("truncate", "--size", "64M", image)
	run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", image)
	mount := func() { run("mount", "-o", "loop", image, dir) }
	mount()
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", dir).Run() })
	return dir, func() {
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			for page := make([]byte, 4096); err == nil; {
				_, err = f.Write(page)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}, func() {
			run("umount", dir)
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			_ = exec.Command("fsck.ext4", "-y", image).Run() // it says with its exit code that it had something to do
			mount()
		}
}

// The disk takes no more writes while the file system says that there is room: pwrite succeeds and fsync fails, and the
// kernel forgets what was written.
func TestDiskThatLosesWritesLosesNothingThatWasAcknowledged(t *testing.T) {
	dir, breakIt, mendIt := fullBelow(t)
	s := startServer(t, dir, "--fsync", "always")
	client := newProbe(t, s)
	createTopic(t, s.address, "feed", 1)
	acknowledged := 0
	for range 5 {
		if err := publishOnce(t, client, "feed", 10<<10); err != nil {
			t.Fatal(err)
		}
		acknowledged++
	}
	breakIt()
	refused := 0
	for range 20 {
		switch err := publishOnce(t, client, "feed", 500<<10); {
		case err == nil && refused == 0:
			acknowledged++ // there was a little room left
		case errors.Is(err, kerr.KafkaStorageError):
			refused++
		default:
			t.Fatalf("after %d records that were refused: %v", refused, err)
		}
	}
	if refused == 0 {
		t.Fatal("the disk took everything")
	}
	if n := countBatches(t, s.address, "feed").records; n != acknowledged {
		t.Errorf("%d records can be read, %d were acknowledged", n, acknowledged)
	}
	if !strings.Contains(s.log.String(), "an fsync failed") || !strings.Contains(s.log.String(), "restart the server") {
		t.Errorf("the log does not say what to do:\n%s", s.log)
	}
	s.kill()
	mendIt()
	s.start()
	if n := countBatches(t, s.address, "feed").records; n < acknowledged {
		t.Errorf("%d records are there after the disk was mended, %d were acknowledged", n, acknowledged)
	}
	if err := publishOnce(t, newProbe(t, s), "feed", 10<<10); err != nil {
		t.Errorf("the disk was mended: %v", err)
	}
}

func TestFileSystemThatTurnsReadOnlyRefusesWritesAndServesReads(t *testing.T) {
	dir, breakIt, mendIt := brokenDisk(t)
	s := startServer(t, dir, "--fsync", "always")
	client := newProbe(t, s)
	createTopic(t, s.address, "feed", 1)
	const acknowledged = 5
	for range acknowledged {
		if err := publishOnce(t, client, "feed", 10<<10); err != nil {
			t.Fatal(err)
		}
	}
	breakIt()
	for range 2 {
		if err := publishOnce(t, client, "feed", 10<<10); !errors.Is(err, kerr.KafkaStorageError) {
			t.Fatalf("a record for a read-only file system: %v", err)
		}
	}
	if n := countBatches(t, s.address, "feed").records; n != acknowledged {
		t.Errorf("%d records can be read, %d were acknowledged", n, acknowledged)
	}
	if !strings.Contains(s.log.String(), "level=ERROR") || !strings.Contains(s.log.String(), "remedy=") {
		t.Errorf("the log does not say what to do:\n%s", s.log)
	}
	s.kill()
	mendIt()
	s.start()
	if n := countBatches(t, s.address, "feed").records; n != acknowledged {
		t.Errorf("%d records are there after the disk was mended, %d were acknowledged", n, acknowledged)
	}
	if err := publishOnce(t, newProbe(t, s), "feed", 10<<10); err != nil {
		t.Errorf("the disk was mended: %v", err)
	}
}

// Files that are deleted under the server stay open: what is served goes on, and the other topic does not notice.
func TestSegmentDeletedUnderTheServerHarmsNoOther(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, "--segment-bytes", "16KiB")
	client := newProbe(t, s)
	createTopic(t, s.address, "feed", 1)
	createTopic(t, s.address, "other", 1)
	for range 10 {
		for _, topic := range []string{"feed", "other"} {
			if err := publishOnce(t, client, topic, 10<<10); err != nil {
				t.Fatal(err)
			}
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "feed-0", "*.log"))
	if err != nil || len(logs) < 3 {
		t.Fatalf("%d segments, error %v", len(logs), err)
	}
	if err := os.Remove(logs[1]); err != nil {
		t.Fatal(err)
	}
	if n := countBatches(t, s.address, "feed").records; n != 10 {
		t.Errorf("%d of 10 records can be read through the open file", n)
	}
	if err := publishOnce(t, client, "other", 10<<10); err != nil {
		t.Errorf("the other topic is refused: %v", err)
	}
	if n := countBatches(t, s.address, "other").records; n != 11 {
		t.Errorf("%d of the other topic's 11 records can be read", n)
	}
}

func newProbe(t *testing.T, s *server) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
