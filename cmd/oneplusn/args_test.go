package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFlagsMayFollowArguments(t *testing.T) {
	commands := newApp(nil, nil).Commands
	for line, want := range map[string]string{
		"pub T --file x":                        "pub --file x T",
		"pub --file x T":                        "pub --file x T",
		"pub T --file=x U":                      "pub --file=x T U",
		"sub T --until-end --from -10":          "sub --until-end --from -10 T",
		"sub T -- --group":                      "sub -- T --group",
		"sub - --from end":                      "sub --from end -",
		"topics create A --partitions 3 B":      "topics create --partitions 3 A B",
		"topics --server x create A --config a": "topics create --server x --config a A",
		"sub T --from":                          "sub --from T",
		"nothing T --x":                         "nothing T --x",
		"--version":                             "--version",
	} {
		args := append([]string{"oneplusn"}, strings.Fields(line)...)
		if got := flagsFirst(commands, args); !slices.Equal(got[1:], strings.Fields(want)) {
			t.Errorf("%q became %q, want %q", line, got[1:], want)
		}
	}
}

func TestPositionsAreRead(t *testing.T) {
	now := time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC)
	for text, want := range map[string]position{
		"beginning":            {kind: fromBeginning},
		"end":                  {kind: fromEnd},
		"17":                   {kind: fromOffset, n: 17},
		"-17":                  {kind: fromBeforeEnd, n: 17},
		"-90s":                 {kind: fromTime, n: now.Add(-90 * time.Second).UnixMilli()},
		"2026-11-24T18:00:00Z": {kind: fromTime, n: now.UnixMilli()},
		"2026-11-24 18:00":     {kind: fromTime, n: time.Date(2026, 11, 24, 18, 0, 0, 0, time.Local).UnixMilli()},
		"2026-11-24":           {kind: fromTime, n: time.Date(2026, 11, 24, 0, 0, 0, 0, time.Local).UnixMilli()},
	} {
		if got, err := parsePosition(text, now); err != nil || got != want {
			t.Errorf("%q is read as %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "start", "1.5", "--5m", "5m", "24.11.2026", "99999999999999999999"} {
		if got, err := parsePosition(text, now); err == nil {
			t.Errorf("%q is read as %v, want an error", text, got)
		}
	}
}
