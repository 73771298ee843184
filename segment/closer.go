package segment

import (
	"sync"
)

// Closer closes released files and unmaps their mappings on a goroutine of its own, one after the other. The last close of a
// removed file frees its blocks, and unmapping a segment frees its page tables: both take longer the larger the file, and
// may wait for the disk. The goroutine exists only while there is something to close.
//
// A nil Closer closes at once.
type Closer struct {
	mu      sync.Mutex
	queue   []closing
	running bool
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
	if !c.running {
		c.running = true
		go c.run()
	}
}

func (c *Closer) closeFile(f File) { c.close(closing{files: [2]File{f}}) }

func (c *Closer) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 {
		list := c.queue
		c.queue = nil
		c.mu.Unlock()
		for i := range list {
			list[i].run()
		}
		c.mu.Lock()
	}
	c.running = false
	if c.idle.L != nil {
		c.idle.Broadcast()
	}
}

// Wait blocks until everything is closed.
func (c *Closer) Wait() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.L = &c.mu
	for c.running {
		c.idle.Wait()
	}
}
