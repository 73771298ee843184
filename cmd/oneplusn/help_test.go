package main

import (
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func TestHelpFitsATerminalAndSaysOneDefaultForEachFlag(t *testing.T) {
	const columns = 120
	everyCommand(t, func(path string, c *cli.Command) {
		help := succeed(t, append(strings.Fields(path), "--help")...)
		for line := range strings.SplitSeq(help, "\n") {
			if len(line) > columns && !strings.HasPrefix(line, "   oneplusn "+path+" - ") {
				t.Errorf("%s --help has a line of %d columns: %q", path, len(line), line)
			}
		}
		for _, f := range c.Flags {
			text := flagHelp(f)
			if strings.Count(text, "(default: ") > 1 || strings.Contains(text, "(default: false)") || strings.Contains(text, "(default: -1)") ||
				strings.Contains(text, "m0s)") {
				t.Errorf("%s --help has %q", path, text)
			}
		}
	})
}

func TestHelpOfAFlag(t *testing.T) {
	for _, row := range []struct {
		flag cli.Flag
		says []string
	}{
		{&cli.StringFlag{Name: "data", EnvVars: []string{"ONEPLUSN_DATA"}, Value: "there", Usage: "`DIR` that holds the logs"}, []string{
			"--data DIR                  DIR that holds the logs (default: there) [$ONEPLUSN_DATA]"}},
		{&cli.DurationFlag{Name: "age", EnvVars: []string{"ONEPLUSN_AGE"}, Value: 168 * time.Hour, Usage: "`DURATION` of it (default: a week)"}, []string{
			"--age DURATION              DURATION of it (default: a week) [$ONEPLUSN_AGE]"}},
		{&cli.DurationFlag{Name: "age", EnvVars: []string{"ONEPLUSN_AGE"}, Value: 90 * time.Minute, Usage: "of it"}, []string{
			"--age VALUE                 of it (default: 1h30m) [$ONEPLUSN_AGE]"}},
		{&cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help"}, []string{
			"--help, -h                  show help"}},
		{&cli.IntFlag{Name: "a-name-that-takes-a-line", EnvVars: []string{"ONEPLUSN_A_NAME_THAT_TAKES_A_LINE"}, Value: 3, Usage: "`NUMBER` " + strings.Repeat("of these ", 9) + "things"}, []string{
			"--a-name-that-takes-a-line NUMBER",
			"                               NUMBER of these of these of these of these of these of these of these of these",
			"                               of these things (default: 3) [$ONEPLUSN_A_NAME_THAT_TAKES_A_LINE]"}},
	} {
		if got, want := flagHelp(row.flag), strings.Join(row.says, "\n"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestShortDurationsMeanTheSame(t *testing.T) {
	for _, d := range []time.Duration{0, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, 70 * time.Second, time.Hour,
		10 * time.Hour, 168 * time.Hour, time.Hour + time.Second, 20 * time.Millisecond} {
		short := shortDuration(d.String())
		if again, err := time.ParseDuration(short); err != nil || again != d || strings.Contains(short, "m0s") {
			t.Errorf("%v is written %s: %v", d, short, err)
		}
	}
}
