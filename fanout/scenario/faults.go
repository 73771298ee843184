package scenario

import (
	"math/rand/v2"
	"time"
)

func (w *World) someClient(r *rand.Rand) *client {
	if len(w.clients) == 0 || w.calm {
		return nil
	}
	return w.clients[r.IntN(len(w.clients))]
}

// stall lets a client read nothing for a while.
func (w *World) stall(r *rand.Rand) {
	if c := w.someClient(r); c != nil {
		c.idle(time.Duration(r.Int64N(int64(time.Second) << r.IntN(7))))
	}
}

// resetClient ends a client's connection.
func (w *World) resetClient(r *rand.Rand) {
	if c := w.someClient(r); c != nil {
		c.reset()
	}
}

// vanish ends a client so that the server does not hear of it.
func (w *World) vanish(r *rand.Rand) {
	if c := w.someClient(r); c != nil {
		c.vanish()
	}
}

// halfClose lets a client send nothing more. Its next requests are lost.
func (w *World) halfClose(r *rand.Rand) {
	if c := w.someClient(r); c != nil && c.connection != nil {
		c.connection.CloseWrite()
	}
}

// stop, kill and losePower end the server; the next life begins at once.
func (w *World) stop(*rand.Rand) { w.endLife(byStop) }
func (w *World) kill(*rand.Rand) { w.endLife(byKill) }

func (w *World) losePower(*rand.Rand) { w.endLife(byPowerLoss) }
