package segment

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Files bounds how many files of finished segments are open at once, over all logs that share it: the files of those that
// were not read for longest are closed, and opened again when they are. A segment that somebody holds keeps its own.
//
// What a read needs of a closed file is cold, as if its pages were on the disk: [Log.Read] says [ErrCold], and a [Lookup] opens
// it.
type Files struct {
	limit   int
	mu      sync.Mutex
	open    []*evictableFile
	hand    int // of the clock that goes round open
	started bool
	// unfinished counts the segments that ended and are not finished: their files stay open until they are synced.
	// From maxUnfinished on appends wait for work that is under way.
	maxUnfinished int64
	unfinished    atomic.Int64
}

// NewFiles makes a bound of the files of finished segments, each of which has two, and of the segments that wait to be
// finished: where a log ends segments faster than the disk takes them, appends wait. Until [Files.Started] the logs belong
// to one thread, which opens them, and what is beyond the limit is closed at once.
func NewFiles(limit, maxUnfinished int) *Files {
	return &Files{limit: limit, maxUnfinished: int64(maxUnfinished)}
}

// behind says that no more segments are to end now.
func (f *Files) behind() bool { return f != nil && f.unfinished.Load() >= f.maxUnfinished }

// ended counts a segment that has ended.
func (f *Files) ended(s *Segment) {
	if f != nil && s.unfinishedIn == nil {
		s.unfinishedIn = f
		f.unfinished.Add(1)
	}
}

// counted takes the segment out of those that are not finished.
func (s *Segment) counted() {
	if f := s.unfinishedIn; f != nil {
		if n := f.unfinished.Add(-1); n < 0 {
			panic(fmt.Sprintf("segment: %d segments wait to be finished: %s was counted twice", n, s.path))
		}
		s.unfinishedIn = nil
	}
}

// Started says that from here on files are opened by many threads, and closed by [Files.Trim] alone.
func (f *Files) Started() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = true
}

// Open is the number of files that are open.
func (f *Files) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// trimmedAtOnce bounds the files that one Trim looks at.
const trimmedAtOnce = 256

// Trim closes what is beyond the limit. It belongs to the thread of the logs, and to times at which nobody relies on a file of
// a segment that is not held. It costs nothing within the limit.
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
			_ = (*file).Close() // at once: many more are about to be opened
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

// evictableFile is a file of a finished segment, which nobody writes to. It is closed while it rests.
type evictableFile struct {
	files   *Files
	worker  *worker // of the log, which says when path may be another's
	fs      FS
	path    string
	segment *Segment
	file    atomic.Pointer[File] // nil while it rests
	used    atomic.Bool
	at      int // its place in files.open; under files.mu
	mu      sync.Mutex
	closed  bool // for good; under mu
}

// rest lets the files of a segment rest when they are not needed, if it is finished.
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

// resting says that the segment's file has to be opened before it is read.
func (s *Segment) evicted() bool {
	r, ok := s.file.(*evictableFile)
	return ok && r.file.Load() == nil
}

// get is the open file. It may block unless the file is open. The segment must be held, or its log's thread ask.
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
		return nil, fmt.Errorf("%w: opening %s again: %w", ErrStorage, r.path, err)
	case file == nil || r.closed: // the log is gone
		if file != nil {
			_ = file.Close()
		}
		return nil, fmt.Errorf("%w: %s", ErrClosed, r.path)
	}
	r.opened(file)
	return file, nil
}

// Fd is the descriptor, or -1 if the file could not be opened again.
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

func (r *evictableFile) Size() (int64, error) {
	file, err := r.get()
	if err != nil {
		return 0, err
	}
	return file.Size()
}

func (r *evictableFile) Modified() (int64, error) {
	file, err := r.get()
	if err != nil {
		return 0, err
	}
	return file.Modified()
}

func (r *evictableFile) Sync() error {
	file, err := r.get()
	if err != nil {
		return err
	}
	return file.Sync()
}

func (r *evictableFile) DropCache() {
	if file, err := r.get(); err == nil {
		file.DropCache()
	}
}

// WriteAt and Truncate are not for a finished segment.
func (r *evictableFile) WriteAt([][]byte, int64) (int, error) {
	panic("segment: a finished segment is written to: " + r.path)
}

func (r *evictableFile) Truncate(int64) error {
	panic("segment: a finished segment is cut: " + r.path)
}

// Close may take long, and holds nothing meanwhile that the log's thread waits for.
func (r *evictableFile) Close() error {
	file := r.end()
	if file == nil {
		return nil
	}
	return (*file).Close()
}

// end takes the file out of those that are open, for good: nil if it rests.
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
