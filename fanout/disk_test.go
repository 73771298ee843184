package fanout

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"oneplusn/fanout/catalog"
)

// smallDisk mounts a file system of a few mebibytes.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, options)
	return dir
}

// overlay is a directory on an overlay, as in a container without a volume. Its files are on the file system of
// temporary directories.
func overlay(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	at := func(name string) string {
		dir := filepath.Join(top, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	dir := at("merged")
	mount(t, "overlay", dir, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", at("lower"), at("upper"), at("work")))
	return dir
}

// mount mounts a file system for the time of the test.
func mount(t *testing.T, kind, dir, options string) {
	t.Helper()
	err := unix.Mount(kind, dir, kind, 0, options)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
		t.Skipf("%s cannot be mounted here (CAP_SYS_ADMIN): %v", kind, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// On a full disk, produces fail with an error that producers retry; acknowledged records stay readable, and when there is
// room again the server continues, across a restart too.
func TestFullDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := smallDisk(t, "size=2m")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *Config) { c.DataDir = dir })
	c, reader := s.dial(), s.dial()
	c.create("feed", 1)
	log := &shadow{topic: "feed"}
	refused := 0
	for i := range 60 {
		batch := makeBatch(uint64(i), 1, 30_000, 0)
		switch r := c.produce("feed", 0, batch); r.ErrorCode {
		case 0:
			log.add(batch, r.BaseOffset)
		case 56:
			refused++
		default:
			t.Fatalf("batch %d: error %d, want 0 or 56", i, r.ErrorCode)
		}
	}
	if refused == 0 || len(log.batches) == 0 {
		t.Fatalf("%d batches were accepted and %d refused: the disk was never full", len(log.batches), refused)
	}
	if err := reader.readAll(11, []*shadow{log}); err != nil {
		t.Errorf("while the disk is full: %v", err)
	}
	if st := s.stats(); st.ProduceErrors != uint64(refused) {
		t.Errorf("%d errors were counted, want %d", st.ProduceErrors, refused)
	}
	if text := s.log.String(); !strings.Contains(text, "no space left on device") || !strings.Contains(text, "free space") {
		t.Errorf("the log does not name cause and remedy:\n%s", text)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		c.publish(log, makeBatch(uint64(100+i), 1, 20_000, 0))
	}
	if err := reader.readAll(11, []*shadow{log}); err != nil {
		t.Errorf("with room again: %v", err)
	}
	c.close()
	reader.close()
	s.stop()
	again := start(t, func(c *Config) { c.DataDir = dir })
	reader = again.dial()
	if err := reader.readAll(11, []*shadow{log}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// A topic that the disk has no room for is refused whole: nothing of it is left, and it can be made later.
func TestTopicThatDoesNotFitIsRefusedAndLeavesNothing(t *testing.T) {
	dir := smallDisk(t, "size=2m,nr_inodes=40")
	s := start(t, func(c *Config) { c.DataDir = dir })
	c := s.dial()
	c.create("small", 1)
	names := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := names()
	if code := c.tryCreate("big", 100); code != 56 {
		t.Errorf("creating a topic of 100 partitions: error %d, want 56", code)
	}
	if n := names(); n != before {
		t.Errorf("%d names are in the data directory, %d were there before", n, before)
	}
	c.create("big", 2)
	c.publish(&shadow{topic: "big"}, makeBatch(1, 1, 10, 0))
}

func TestReadOnlyDataDirectoryIsRefusedAtTheStart(t *testing.T) {
	before := held(t)
	dir := smallDisk(t, "size=1m,ro")
	config := testConfig(t)
	config.DataDir = filepath.Join(dir, "data")
	if _, err := Open(config); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a directory that cannot be made: %v", err)
	}
	config.DataDir = dir
	if _, err := Open(config); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a directory that cannot be written to: %v", err)
	}
	config.DataDir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(config.DataDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(config); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file in the place of the directory: %v", err)
	}
	before.checkNothingLeft(t)
}

func TestPortInUseIsNamedWithTheRemedy(t *testing.T) {
	before := held(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := testConfig(t)
	config.Listen = taken.Addr().String()
	_, err = Open(config)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), config.Listen) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("%v, want the address, the cause and the remedy", err)
	}
	_ = taken.Close()
	for _, listen := range []string{"", "nonsense", "127.0.0.1", "127.0.0.1:655360", "127.0.0.1:http:"} {
		config.Listen = listen
		if b, err := Open(config); err == nil {
			b.listener.Close()
			_ = b.catalog.Close()
			t.Errorf("--listen %q was accepted", listen)
		}
	}
	for _, advertise := range []string{"nonsense", "host", fmt.Sprint(":", 9092), "host:0", "host:65536", "host:-1", "host:http"} {
		config.Listen, config.Advertise = "127.0.0.1:0", advertise
		if _, err := Open(config); err == nil || !strings.Contains(err.Error(), "--advertise") {
			t.Errorf("--advertise %q: %v", advertise, err)
		}
	}
	before.checkNothingLeft(t)
}

func TestDamagedMetaFilesAreRefusedWithTheirNames(t *testing.T) {
	before := held(t)
	for _, content := range []string{"", "version=1\n", "cluster.id=x\nnode.id=-1\n", "cluster.id=x\nbroker.id=many\n"} {
		config := testConfig(t)
		if err := os.WriteFile(filepath.Join(config.DataDir, catalog.IdentityFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(config); err == nil || !strings.Contains(err.Error(), catalog.IdentityFile) {
			t.Errorf("%s holding %q: %v", catalog.IdentityFile, content, err)
		}
	}
	before.checkNothingLeft(t)
}

// The file of producer ids may be damaged, lost, or something else altogether: the server starts, and no id that was given
// before comes again.
func TestLostProducerIDFileKeepsNobodyFromStartingAndGivesNoIDTwice(t *testing.T) {
	dir := t.TempDir()
	s := start(t, func(c *Config) { c.DataDir = dir })
	known := s.dial().producerID()
	write := func(content string) func(path string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	for name, damage := range map[string]func(path string) error{
		"empty": write(""), "text": write("x\n"), "negative": write("-1\n"), "too large": write("99999999999999999999\n"),
		"lost": os.Remove, "a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		copied := crashCopy(t, dir)
		if err := damage(filepath.Join(copied, catalog.ProducerIDFile)); err != nil {
			t.Fatal(err)
		}
		damaged := start(t, func(c *Config) { c.DataDir = copied })
		id := damaged.dial().producerID()
		if id <= known+catalog.ProducerIDBlock {
			t.Errorf("%s: id %d, after %d before", name, id, known)
		}
		next := start(t, func(c *Config) { c.DataDir = crashCopy(t, copied) })
		if again := next.dial().producerID(); again <= id || again > id+catalog.ProducerIDBlock {
			t.Errorf("%s: id %d after the next start, %d before", name, again, id)
		}
	}
}
