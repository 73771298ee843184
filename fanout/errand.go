package fanout

import "fmt"

// errand begins work for the request under way that goes on whether or not its client stays. end ends it, on the loop, and says
// whether its client is still there. Until then the connection keeps its slot, and all that was charged for the
// request: or clients that ask and go would leave behind, in lines and in the background, memory that no budget counts.
func (c *conn) errand() (end func() bool) {
	c.errands++
	return func() bool {
		if c.errands--; c.errands < 0 {
			panic(fmt.Sprintf("fanout: more errands of connection %d ended than began", c.slot))
		}
		if c.state == connOpen {
			return true
		}
		c.freeIfIdle()
		return false
	}
}
