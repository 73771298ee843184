package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// renderer writes one record as --format says.
type renderer func(out *bufio.Writer, r *kgo.Record) error

// newRenderer reads --format.
func newRenderer(format string) (renderer, error) {
	switch format {
	case "text":
		return renderText, nil
	case "json":
		return renderJSON, nil
	case "hex":
		return renderHex, nil
	}
	if !strings.Contains(format, "%") {
		return nil, fmt.Errorf("%q: choose text, json, hex, or a template such as '%%p %%o %%v\\n'", format)
	}
	template, err := kgo.NewRecordFormatter(format)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", format, err)
	}
	var scratch []byte
	return func(out *bufio.Writer, r *kgo.Record) error {
		scratch = template.AppendRecord(scratch[:0], r)
		_, err := out.Write(scratch)
		return err
	}, nil
}

func renderText(out *bufio.Writer, r *kgo.Record) error {
	if _, err := out.Write(r.Value); err != nil {
		return err
	}
	return out.WriteByte('\n')
}

// jsonRecord is a record as one JSON object. Bytes that are not UTF-8 are base64 in a field of another name, so that readers
// do not confuse the two.
type jsonRecord struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Timestamp string       `json:"timestamp"`
	Key       *string      `json:"key,omitempty"`
	KeyBase64 []byte       `json:"key_base64,omitempty"`
	Value     *string      `json:"value"`
	Base64    []byte       `json:"value_base64,omitempty"`
	Headers   []jsonHeader `json:"headers,omitempty"`
}

type jsonHeader struct {
	Key    string  `json:"key"`
	Value  *string `json:"value"`
	Base64 []byte  `json:"value_base64,omitempty"`
}

func renderJSON(out *bufio.Writer, r *kgo.Record) error {
	j := jsonRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC().Format(time.RFC3339Nano)}
	j.Key, j.KeyBase64 = textOrBytes(r.Key)
	j.Value, j.Base64 = textOrBytes(r.Value)
	for _, h := range r.Headers {
		header := jsonHeader{Key: h.Key}
		header.Value, header.Base64 = textOrBytes(h.Value)
		j.Headers = append(j.Headers, header)
	}
	line, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case !utf8.Valid(b):
		return nil, b
	}
	text := string(b)
	return &text, nil
}

// renderHex writes the record's position, its key, and its value like hexdump -C.
func renderHex(out *bufio.Writer, r *kgo.Record) error {
	_, err := fmt.Fprintf(out, "%s-%d@%d key %s value %d bytes\n%s", r.Topic, r.Partition, r.Offset, keyHex(r.Key), len(r.Value), hex.Dump(r.Value))
	return err
}

func keyHex(key []byte) string {
	if key == nil {
		return "none"
	}
	return hex.EncodeToString(key)
}
