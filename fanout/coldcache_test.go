package fanout

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"oneplusn/fanout/catalog"
	"oneplusn/fanout/commit"
	"oneplusn/fanout/transfer"
	"oneplusn/segment/cachestat"
)

// coldLog is a log on a real file system, most of which was dropped from the page cache.
type coldLog struct {
	*shadow
	s *server
	// cold are the segments that were dropped, hot those that stayed.
	cold, hot []string
}

const (
	coldSegmentBytes = 8 << 20
	coldLimitBytes   = 16 << 20
	coldReadahead    = 2 << 20
)

// startCold publishes some segments and drops all but the last ones from the page cache.
func startCold(t *testing.T, cacheBytes, readaheadBytes int64, segments, hot int) *coldLog {
	t.Helper()
	return startColdMode(t, transfer.Auto, cacheBytes, readaheadBytes, segments, hot)
}

func startColdMode(t *testing.T, mode transfer.Mode, cacheBytes, readaheadBytes int64, segments, hot int) *coldLog {
	t.Helper()
	s := start(t, func(c *Config) {
		c.Log.SegmentBytes = coldSegmentBytes
		c.Transfer.Mode = mode
		c.Transfer.ColdCacheBytes, c.Transfer.ReadaheadBytes = cacheBytes, readaheadBytes
		c.Fsync = commit.Fsync{}
	})
	dir := s.broker.config.DataDir
	if why := whyPageCacheHidden(filepath.Join(dir, catalog.IdentityFile)); why != "" {
		t.Skip(why)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		t.Fatal("the directory of temporary files is in memory, where nothing is ever cold: set TMPDIR, as make test does")
	}
	c := s.dial()
	c.create("feed", 1)
	l := &coldLog{shadow: &shadow{topic: "feed"}, s: s}
	for i := range 8 * segments {
		c.publish(l.shadow, makeBatch(uint64(i), 1, coldSegmentBytes/8-200, 0))
	}
	files, err := filepath.Glob(filepath.Join(dir, "feed-0", "*.log"))
	if err != nil || len(files) != segments {
		t.Fatalf("%d segments, want %d (%v)", len(files), segments, err)
	}
	l.cold, l.hot = files[:segments-hot], files[segments-hot:]
	l.drop()
	return l
}

// drop makes the cold segments cold.
func (l *coldLog) drop() {
	l.s.t.Helper()
	ping := l.s.dial()
	defer ping.close()
	gone := eventually(func() bool {
		// A processor frees the socket buffers that another has read when it next has traffic; until then they hold pages.
		ping.alive()
		for _, path := range l.cold {
			onFile(l.s.t, path, func(fd int, _ int64) {
				if err := errors.Join(unix.Fdatasync(fd), unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)); err != nil {
					l.s.t.Fatal(err)
				}
			})
		}
		return cachedBytes(l.s.t, l.cold) == 0
	})
	if !gone {
		for _, path := range l.cold {
			l.s.t.Logf("%s: %d bytes", path, cachedBytes(l.s.t, []string{path}))
		}
		l.s.t.Fatalf("%d bytes stay in the page cache", cachedBytes(l.s.t, l.cold))
	}
}

func onFile(t *testing.T, path string, f func(fd int, size int64)) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f(int(file.Fd()), info.Size())
}

// most is the share of bytes that must be in the page cache where we drop nothing: the kernel may drop some pages by itself.
func most(bytes int64) int64 { return bytes - bytes/8 }

// cachedBytes is how much of the files the page cache holds, by cachestat(2).
func cachedBytes(t *testing.T, files []string) (cached int64) {
	t.Helper()
	for _, path := range files {
		onFile(t, path, func(fd int, size int64) {
			pages, ok := cachestat.Pages(fd, 0, size)
			if !ok {
				t.Fatalf("cachestat of %s failed", path)
			}
			cached += min(pages*int64(os.Getpagesize()), size)
		})
	}
	return cached
}

func sizeOfFiles(t *testing.T, files []string) (size int64) {
	t.Helper()
	for _, path := range files {
		onFile(t, path, func(_ int, n int64) { size += n })
	}
	return size
}

// A subscriber that reads a whole log from the disk leaves no more than --cold-cache of it in the page cache, and no hot
// page is evicted. Left to the kernel, all that it read stays, and so the kernel evicts hot pages.
func TestOneThatReadsEverythingLeavesTheHotPagesOfOthers(t *testing.T) {
	for _, set := range []struct{ limit, readahead int64 }{{coldLimitBytes, coldReadahead}, {coldLimitBytes, 0}, {0, 0}} {
		t.Run(fmt.Sprintf("cold-cache-%d-readahead-%d", set.limit, set.readahead), func(t *testing.T) {
			l := startCold(t, set.limit, set.readahead, 11, 1)
			limit := l.s.stats().ColdCache.LimitBytes // more where the kernel reads far ahead
			if err := l.s.dial().readAll(11, []*shadow{l.shadow}); err != nil {
				t.Fatal(err)
			}
			coldBytes, hotBytes := sizeOfFiles(t, l.cold), sizeOfFiles(t, l.hot)
			if got := cachedBytes(t, l.hot); got < most(hotBytes) {
				t.Errorf("%d of %d hot bytes are in the page cache", got, hotBytes)
			}
			if limit == 0 {
				if got := cachedBytes(t, l.cold); got <= coldLimitBytes {
					t.Errorf("%d of %d cold bytes are in the page cache without anybody dropping them: the test tests nothing", got, coldBytes)
				}
				return
			}
			var got int64
			if !eventually(func() bool { got = cachedBytes(t, l.cold); return got <= limit }) {
				t.Errorf("%d of %d cold bytes are in the page cache, allowed are %d; %+v", got, coldBytes, limit, l.s.stats().ColdCache)
			}
			st := l.s.stats().ColdCache
			if st.HeldBytes > limit || st.DroppedBytes < uint64(coldBytes-limit) || (st.ReadaheadBytes > 0) != (set.readahead > 0) {
				t.Errorf("the counters do not say what happened: %+v", st)
			}
		})
	}
}

// Subscribers that follow each other through cold records share the pages that the first one read.
func TestSubscribersThatFollowFindWhatTheFirstReadFromDisk(t *testing.T) {
	l := startCold(t, 128<<20, 0, 4, 0)
	if err := l.s.dial().readAll(11, []*shadow{l.shadow}); err != nil {
		t.Fatal(err)
	}
	if got, want := cachedBytes(t, l.cold), sizeOfFiles(t, l.cold); got < most(want) {
		t.Errorf("%d of %d bytes are in the page cache for the next subscriber", got, want)
	}
	if st := l.s.stats().ColdCache; st.DroppedBytes != 0 {
		t.Errorf("%d bytes were dropped below the limit", st.DroppedBytes)
	}
}

// While a subscriber that reads from the disk takes its time, the server has read ahead of it: as far as it was told to,
// and no further.
func TestColdSubscriberIsReadAhead(t *testing.T) {
	l := startCold(t, 64<<20, coldReadahead, 2, 0)
	const first = 1 << 20
	c := l.s.dial()
	req := fetchRequest(11, wanted{l.topic, 0, 0, first})
	c.send(req)
	size := int64(len(c.frameBytes()))
	ahead := func() (cached int64) {
		onFile(t, l.cold[0], func(fd int, _ int64) {
			pages, _ := cachestat.Pages(fd, size, coldSegmentBytes-size)
			cached = pages * int64(os.Getpagesize())
		})
		return cached
	}
	if !eventually(func() bool { return ahead() >= coldReadahead }) {
		t.Errorf("%d bytes are in the page cache behind what was read, want %d", ahead(), coldReadahead)
	}
	const block = 2 << 20 // what is counted in
	if got := ahead(); got > coldReadahead+2*block {
		t.Errorf("%d bytes are in the page cache behind what was read, want %d", got, coldReadahead)
	}
}

// The end of a log that was read from the disk once, after a restart, does not make what is appended to it cold: live
// records are sent inline as ever.
func TestRecordsAppendedToAColdBlockAreHot(t *testing.T) {
	l := startCold(t, coldLimitBytes, 0, 1, 0)
	c := l.s.dial()
	if err := c.readAll(11, []*shadow{l.shadow}); err != nil {
		t.Fatal(err)
	}
	if st := l.s.stats(); st.ColdCache.HeldBytes == 0 {
		t.Fatal("nothing is in the cold cache: the test tests nothing")
	}
	before := l.s.stats().Ledger
	at := l.end
	batch := makeBatch(99, 1, 100, 0)
	c.publish(l.shadow, batch)
	resp := c.ask(fetchRequest(11, wanted{l.topic, 0, at, 1 << 20})).(*kmsg.FetchResponse)
	if got := resp.Topics[0].Partitions[0].RecordBatches; len(got) != len(batch) {
		t.Fatalf("%d bytes came, want %d", len(got), len(batch))
	}
	after := l.s.stats().Ledger
	if sent := after.CacheToSocketBytes - before.CacheToSocketBytes; sent != uint64(len(batch)) {
		t.Errorf("%d bytes were sent from the mapped page cache and %d by reference, want all %d in the first way",
			sent, after.ByReferenceBytes-before.ByReferenceBytes, len(batch))
	}
}

// What the cold cache remembers of a topic does not keep its files open when it is deleted: the disk gets its space back.
func TestDeletedTopicIsNotHeldByTheColdCache(t *testing.T) {
	l := startCold(t, coldLimitBytes, coldReadahead, 4, 0)
	c := l.s.dial()
	if err := c.readAll(11, []*shadow{l.shadow}); err != nil {
		t.Fatal(err)
	}
	if st := l.s.stats().ColdCache; st.HeldBytes == 0 {
		t.Fatal("nothing is in the cold cache: the test tests nothing")
	}
	c.remove(l.topic)
	var open string
	closed := eventually(func() bool {
		open = ""
		for _, target := range held(t).descriptors {
			if strings.Contains(target, ".log") {
				open = target
			}
		}
		return open == ""
	})
	if !closed {
		t.Errorf("%s is still open", open)
	}
	// Others come, and what is left of the deleted topic makes room.
	c.create("other", 1)
	other := &coldLog{shadow: &shadow{topic: "other", epoch: 1}, s: l.s}
	for i := range 64 {
		c.publish(other.shadow, makeBatch(uint64(i), 1, coldSegmentBytes/8-200, 0))
	}
	files, err := filepath.Glob(filepath.Join(l.s.broker.config.DataDir, "other-0", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	other.cold = files
	other.drop()
	if err := c.readAll(11, []*shadow{other.shadow}); err != nil {
		t.Error(err)
	}
	within := func() bool { st := l.s.stats().ColdCache; return st.HeldBytes <= st.LimitBytes }
	if !eventually(within) {
		t.Errorf("the cold cache does not keep to its limit: %+v", l.s.stats().ColdCache)
	}
}

// overlayfs hides its page cache: every page looks cold, so the cold cache would drop hot ones.
func TestPageCacheIsLeftAloneWhereItCannotBeSeen(t *testing.T) {
	below := t.TempDir()
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(below, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(below, "merged")
	err := unix.Mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", below))
	if err != nil {
		t.Skipf("an overlay cannot be mounted here (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := start(t, func(c *Config) { c.DataDir = dir })
	if st := s.stats().ColdCache; st.LimitBytes != 0 {
		t.Errorf("the cold cache is on where it sees nothing: %+v", st)
	}
	if text := s.log.String(); !strings.Contains(text, "left to the kernel") || !strings.Contains(text, "cachestat") {
		t.Errorf("the log does not say so:\n%s", text)
	}
}

func TestColdCacheSizesThatCannotWorkAreRefused(t *testing.T) {
	for _, bad := range []struct {
		cache, readahead int64
		names            string
	}{
		{1, 0, "cold-cache is 1"}, {-1, 0, "cold-cache is -1"}, {minColdCacheBytes - 1, 0, "cold-cache is"},
		{maxColdCacheBytes + 1, 0, "cold-cache is"}, {minColdCacheBytes, minColdCacheBytes/4 + 1, "readahead is"},
		{0, -1, "readahead is -1"},
	} {
		c := DefaultConfig()
		c.Transfer.ColdCacheBytes, c.Transfer.ReadaheadBytes = bad.cache, bad.readahead
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), bad.names) {
			t.Errorf("cold-cache %d with readahead %d: %v, want an error that says %q", bad.cache, bad.readahead, err, bad.names)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}
