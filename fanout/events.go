package fanout

import (
	"context"
	"fmt"
	"io"

	"oneplusn/fanout/conn"
	"oneplusn/fanout/loop"
	"oneplusn/fanout/transfer"
	"oneplusn/ring"
)

var eventCompletion = loop.NewEventKind("completion", "of", "result").As(0, tokenText)

var tokenKinds = map[uint8]string{
	transfer.KindWrite: "write", transfer.KindFill: "fill", transfer.KindPoll: "poll", transfer.KindAdvice: "advice",
	conn.KindAccept: "accept", conn.KindRecv: "recv", conn.KindCancel: "cancel", kindSync: "sync",
}

func tokenText(token int64) string {
	t := ring.Token(token)
	return fmt.Sprintf("%s/%d.%d", tokenKinds[t.Kind()], t.Slot(), t.Generation())
}

// WriteEvents writes the last operations of the loop, the oldest first, a line each. It blocks the loop for some milliseconds at
// most, so w must not block: pass a buffer.
func (b *Broker) WriteEvents(ctx context.Context, w io.Writer) error {
	return b.loop.Call(ctx, func() { b.loop.WriteEvents(w) })
}
