package fanout

import "slices"

// maxDirJobs is how many changes of the data directory run at the same time. More would not make the disk faster, and
// each has a thread of the operating system while it waits for it.
const maxDirJobs = 16

// dirQueue is the line in which everything stands that changes the data directory: topics that are made, get partitions,
// are deleted or configured, and the files that all of them share ([sharedFile]).
//
// A change holds the names of its topics from its begin to its last release. Changes of one name run one after the other,
// in the order of their requests; those of different names run beside each other. So whoever has its turn finds what the
// one before it left, on the disk and in memory, and nobody else touches either. It belongs to the loop's thread.
type dirQueue struct {
	// lines has for each name who holds it, and behind that one who waits, in order.
	lines map[string][]*dirJob
	// ready hold all of their names, and wait for room.
	ready    []*dirJob
	running  int
	starting bool
	writing  int // shared files that are being written
	jobs     jobs
}

// jobs runs work in the background, and done on the loop after it: see [loop.Loop.Go].
type jobs interface{ Go(work, done func()) }

// dirJob is one change in the line.
type dirJob struct {
	queue *dirQueue
	names []string
	begin func(*dirJob)
	// ahead counts its names that others hold, or wait for before it.
	ahead int
	// owners counts who holds the names: the change itself, and whatever it has begun and does not wait for.
	owners int
}

// enter lets begin run on the loop when nobody before it holds, or waits for, any of the names: at once if that is so.
// The names are held until the job that begin gets has been released as often as it was retained, and once more.
func (q *dirQueue) enter(names []string, begin func(job *dirJob)) {
	job := &dirJob{queue: q, names: slices.Compact(slices.Sorted(slices.Values(names))), begin: begin}
	if q.lines == nil {
		q.lines = make(map[string][]*dirJob)
	}
	for _, name := range job.names {
		if len(q.lines[name]) > 0 {
			job.ahead++
		}
		q.lines[name] = append(q.lines[name], job)
	}
	if job.ahead == 0 {
		q.ready = append(q.ready, job)
		q.start()
	}
}

// start begins what is ready. It is not entered twice: what becomes ready in a begin is begun by the caller of that.
func (q *dirQueue) start() {
	if q.starting {
		return
	}
	q.starting = true
	for len(q.ready) > 0 && q.running < maxDirJobs {
		job := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		q.running++
		job.owners = 1
		job.begin(job)
	}
	q.starting = false
}

// retain adds an owner.
func (j *dirJob) retain() {
	if j.owners == 0 {
		panic("fanout: names of the data directory are held after they were given back")
	}
	j.owners++
}

// release takes one owner away. With the last one the names go to who waits for them.
func (j *dirJob) release() {
	if j.owners == 0 {
		panic("fanout: names of the data directory are given back that nobody holds")
	}
	if j.owners--; j.owners > 0 {
		return
	}
	q := j.queue
	q.running--
	for _, name := range j.names {
		line := q.lines[name]
		if line[0] != j {
			panic("fanout: the name " + name + " was held by two changes of the data directory")
		}
		line[0] = nil
		if line = line[1:]; len(line) == 0 {
			delete(q.lines, name)
			continue
		}
		q.lines[name] = line
		if line[0].ahead--; line[0].ahead == 0 {
			q.ready = append(q.ready, line[0])
		}
	}
	q.start()
}

// holds says that the name is one of the job's.
func (j *dirJob) holds(name string) bool {
	_, is := slices.BinarySearch(j.names, name)
	return is
}

// held says that a change of the topic of that name is under way, or waits.
func (q *dirQueue) held(name string) bool { return len(q.lines[name]) > 0 }

// idle says that nothing is under way, and nothing waits.
func (q *dirQueue) idle() bool {
	return len(q.lines) == 0 && q.running == 0 && len(q.ready) == 0 && q.writing == 0
}

// sharedFile is a file of the data directory that changes of many topics have a part in, such as a checkpoint. It is
// written in one place at a time. What is asked for meanwhile is written next, all of it at once, so a file costs no more
// however many ask.
type sharedFile struct {
	// begin is called on the loop when a write begins, and says what is to be written. work may block; written, which may
	// be nil, runs on the loop after it has succeeded.
	begin func() (work func() error, written func())

	waiting []func(error)
	writing bool
}

// write has the file written as it is to be from now on, and calls done on the loop.
func (q *dirQueue) write(f *sharedFile, done func(error)) {
	f.waiting = append(f.waiting, done)
	if !f.writing {
		q.writeNext(f)
	}
}

func (q *dirQueue) writeNext(f *sharedFile) {
	asked := f.waiting
	f.waiting = nil
	f.writing = true
	q.writing++
	work, written := f.begin()
	var err error
	q.jobs.Go(func() { err = work() }, func() {
		if err == nil && written != nil {
			written()
		}
		for _, done := range asked {
			done(err)
		}
		f.writing = false
		q.writing--
		if len(f.waiting) > 0 {
			q.writeNext(f)
		}
	})
}
