package segment

import (
	"sync"
)

// Closer closes released files and unmaps their mappings on a thread of its own, one after the other. The last close of a
// removed file frees its blocks, and unmapping a segment frees its page tables: both take longer the larger the file, and
// may wait for the disk. The thread exists only while there is something to close.
//
// A nil Closer closes at once.
type Closer struct {
	// Spawn runs f on another thread.
	Spawn func(f func())

	mu      sync.Mutex
	queue   []closing
	spawned bool
	closing int // how many threads close something
	idle    sync.Cond
}

// closing is the files and mappings of one segment.
type closing struct {
	fs       FS
	files    [2]File // nil for none
	mapped   []byte
	outgrown [][]byte
}

func (c closing) run() {
	if c.mapped != nil {
		c.fs.Unmap(c.mapped)
	}
	for _, m := range c.outgrown {
		c.fs.Unmap(m)
	}
	for _, f := range c.files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// close queues and does not block.
func (c *Closer) close(what closing) {
	if c == nil {
		what.run()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, what)
	if !c.spawned {
		c.spawned = true
		c.Spawn(c.run)
	}
}

func (c *Closer) closeFile(f File) { c.close(closing{files: [2]File{f}}) }

func (c *Closer) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeQueue()
	c.spawned = false
	if c.idle.L != nil {
		c.idle.Broadcast()
	}
}

// closeQueue closes all that waits, with mu free meanwhile.
func (c *Closer) closeQueue() {
	c.closing++
	for len(c.queue) > 0 {
		list := c.queue
		c.queue = nil
		c.mu.Unlock()
		for i := range list {
			list[i].run()
		}
		c.mu.Lock()
	}
	c.closing--
}

// Wait returns when everything is closed. It helps, as the thread may not have begun.
func (c *Closer) Wait() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.L = &c.mu
	c.closeQueue()
	for c.closing > 0 {
		c.idle.Wait()
	}
}
