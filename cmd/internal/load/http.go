package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DrainHTTP lets each subscriber get a file with the bytes of the layout once over HTTP, and lets the kernel discard it: the
// same client as [Set.Drain] with another header.
func DrainHTTP(ctx context.Context, o DrainOptions, file string) (*Drained, error) {
	o.Discard, o.Layout = true, &Layout{End: 1, Bytes: o.Layout.Bytes}
	set, err := Connect(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	for _, sub := range set.subs {
		sub.http, sub.request = true, fmt.Appendf(nil, "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", file)
	}
	return set.Drain(ctx)
}

// maxHTTPHeader is far above the size of nginx's header.
const maxHTTPHeader = 4096

// readHTTPHeader receives the header without a byte of the body: it peeks first. more is false when the socket is empty.
func (s *subscriber) readHTTPHeader() (more bool, err error) {
	n, err := s.receive(s.header[s.have:], unix.MSG_PEEK)
	if n <= 0 || err != nil {
		return false, err
	}
	end := bytes.Index(s.header[:s.have+n], []byte("\r\n\r\n"))
	take := n
	if end >= 0 {
		take = end + 4 - s.have
	}
	if _, err := s.receive(s.header[s.have:s.have+take], 0); err != nil {
		return false, err
	}
	s.have += take
	if end < 0 {
		return true, nil
	}
	head := string(s.header[:s.have])
	if !strings.HasPrefix(head, "HTTP/1.1 200") {
		return false, fmt.Errorf("load: nginx responds %q, expected 200", strings.SplitN(head, "\r\n", 2)[0])
	}
	for line := range strings.Lines(head) {
		if value, ok := strings.CutPrefix(strings.ToLower(line), "content-length:"); ok {
			s.payload, err = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	if err != nil || s.payload <= 0 {
		return false, errors.New("load: nginx's response has no Content-Length")
	}
	s.size = s.payload
	s.header = s.header[:s.have]
	return true, nil
}
