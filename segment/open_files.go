package segment

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"oneplusn/segment/mark"
)

// Files bounds the open files of finished segments over all logs that share it. It evicts by second chance (CLOCK), never the
// files of a held segment, and a later read opens them again.
//
// A read treats an evicted file like pages that are not resident: [Log.Read] returns [ErrCold], and a [Lookup] opens the file.
type Files struct {
	limit   int
	mu      sync.Mutex
	open    []*evictableFile
	hand    int // of the CLOCK, an index of open
	started bool
	// unfinished counts closed segments that are not finished: their files stay open until they are synced. From
	// maxUnfinished on appends wait for the work in flight.
	maxUnfinished int64
	unfinished    atomic.Int64
}

// NewFiles bounds open files of finished segments, of which each has two, and segments that wait to be finished: if a log
// closes segments faster than the disk takes them, appends wait. Until [Files.Started] one thread opens all logs, and files
// beyond the limit are closed at once.
func NewFiles(limit, maxUnfinished int) *Files {
	return &Files{limit: limit, maxUnfinished: int64(maxUnfinished)}
}

// behind reports whether appends have to wait for segments to be finished.
func (f *Files) behind() bool { return f != nil && f.unfinished.Load() >= f.maxUnfinished }

// ended counts a closed segment.
func (f *Files) ended(s *Segment) {
	if f != nil && s.unfinishedIn == nil {
		s.unfinishedIn = f
		f.unfinished.Add(1)
	}
}

// counted undoes ended: the segment is finished, or gone.
func (s *Segment) counted() {
	if f := s.unfinishedIn; f != nil {
		if n := f.unfinished.Add(-1); n < 0 {
			panic(fmt.Sprintf("segment: %d segments wait to be finished: %s was counted twice", n, s.path))
		}
		s.unfinishedIn = nil
	}
}

// Started begins the time in which many threads open files, and only [Files.Trim] evicts them.
func (f *Files) Started() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = true
}

// Open is the number of open files.
func (f *Files) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// trimmedAtOnce bounds the files that one Trim visits.
const trimmedAtOnce = 256

// Trim evicts files beyond the limit. The thread of the logs calls it, when it relies on no file of a segment that is not held.
// Within the limit it costs nothing.
func (f *Files) Trim() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trim(nil)
}

func (f *Files) trim(but *evictableFile) {
	for looked := 0; len(f.open) > f.limit && looked < trimmedAtOnce; looked++ {
		if f.hand >= len(f.open) {
			f.hand = 0
		}
		r := f.open[f.hand]
		if r.used.Swap(false) || r == but || r.segment.holds > 1 {
			f.hand++
			continue
		}
		f.remove(r)
		file := r.file.Swap(nil)
		switch {
		case file == nil:
		case f.started:
			r.segment.closer.closeFile(*file)
		default:
			_ = (*file).Close() // at once: opening the logs needs the descriptors
		}
	}
}

func (f *Files) remove(r *evictableFile) {
	if r.at >= len(f.open) || f.open[r.at] != r {
		panic("segment: a file is closed that is not among the open ones: " + r.path)
	}
	last := len(f.open) - 1
	f.open[r.at] = f.open[last]
	f.open[r.at].at = r.at
	f.open[last] = nil
	f.open = f.open[:last]
}

// evictableFile is a file of a finished segment, which is read only. While it is evicted it is closed.
type evictableFile struct {
	files   *Files
	worker  *worker // knows when path may be another log's
	fs      FS
	path    string
	segment *Segment
	file    atomic.Pointer[File] // nil while evicted
	used    atomic.Bool          // since the hand passed
	at      int                  // its index in files.open; under files.mu
	mu      sync.Mutex
	closed  bool // for good; under mu
}

// makeEvictable puts the files of a finished segment under the bound of [Files].
func (l *Log) makeEvictable(s *Segment) {
	if _, ok := s.file.(*evictableFile); ok || l.options.Files == nil || !s.finished() {
		return
	}
	s.file = l.evictableFile(s, s.path, s.file)
	s.index.file = l.evictableFile(s, beside(s.path, indexSuffix), s.index.file)
}

func (l *Log) evictableFile(s *Segment, path string, file File) *evictableFile {
	r := &evictableFile{files: l.options.Files, worker: l.worker, fs: l.options.FS, path: path, segment: s}
	r.opened(file)
	return r
}

func (r *evictableFile) opened(file File) {
	r.files.mu.Lock()
	defer r.files.mu.Unlock()
	r.file.Store(&file)
	r.at = len(r.files.open)
	r.files.open = append(r.files.open, r)
	if !r.files.started {
		r.files.trim(r)
	}
}

// evicted reports whether the segment's file has to be opened before it is read.
func (s *Segment) evicted() bool {
	r, ok := s.file.(*evictableFile)
	return ok && r.file.Load() == nil
}

// get returns the open file. It blocks only if the file was evicted. The caller holds the segment, or is its log's thread.
func (r *evictableFile) get() (File, error) {
	if !r.used.Load() {
		r.used.Store(true)
	}
	if file := r.file.Load(); file != nil {
		return *file, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if file := r.file.Load(); file != nil {
		return *file, nil
	}
	var file File
	err := r.worker.named(func() (err error) {
		file, err = r.fs.Open(r.path, ReadOnly)
		return err
	})
	switch {
	case err != nil:
		mark.Hit("a file that was closed to save descriptors could not be opened again")
		return nil, fmt.Errorf("%w: opening %s again: %w", ErrStorage, r.path, err)
	case file == nil || r.closed: // the log was closed
		if file != nil {
			_ = file.Close()
		}
		return nil, fmt.Errorf("%w: %s", ErrClosed, r.path)
	}
	mark.Hit("a file that was closed to save descriptors was opened again")
	r.opened(file)
	return file, nil
}

// Fd is -1 if the file could not be opened again.
func (r *evictableFile) Fd() int {
	file, err := r.get()
	if err != nil {
		return -1
	}
	return file.Fd()
}

func (r *evictableFile) ReadResident(b []byte, offset int64) int {
	if r.file.Load() == nil {
		return 0
	}
	file, _ := r.get()
	return file.ReadResident(b, offset)
}

func (r *evictableFile) ReadAt(b []byte, offset int64) (int, error) {
	file, err := r.get()
	if err != nil {
		return 0, err
	}
	return file.ReadAt(b, offset)
}

func (r *evictableFile) Stat() (os.FileInfo, error) {
	file, err := r.get()
	if err != nil {
		return nil, err
	}
	return file.Stat()
}

func (r *evictableFile) Sync() error {
	panic("segment: a finished segment is synced again: " + r.path)
}

func (r *evictableFile) DropCache() {
	panic("segment: the cache of a finished segment is dropped: " + r.path)
}

func (r *evictableFile) WriteAt([][]byte, int64) (int, error) {
	panic("segment: a write to a finished segment: " + r.path)
}

func (r *evictableFile) Truncate(int64) error {
	panic("segment: a finished segment is truncated: " + r.path)
}

func (r *evictableFile) Map(n int) ([]byte, error) {
	file, err := r.get()
	if err != nil {
		return nil, err
	}
	return file.Map(n)
}

// Close may take long, so it holds no lock that the log's thread takes.
func (r *evictableFile) Close() error {
	file := r.end()
	if file == nil {
		return nil
	}
	return (*file).Close()
}

// end removes the file from the bound for good and returns it, or nil if it is evicted.
func (r *evictableFile) end() *File {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.files.mu.Lock()
	defer r.files.mu.Unlock()
	file := r.file.Swap(nil)
	if file != nil {
		r.files.remove(r)
	}
	return file
}
