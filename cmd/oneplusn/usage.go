package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/urfave/cli/v2"
)

// usageError is a mistake in the command line: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usageErrorf(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// asUsageError makes a usage error of the library's complaint about a command line.
func asUsageError(c *cli.Context, err error, _ bool) error {
	name, flags := "oneplusn", []cli.Flag(nil)
	if c.Command != nil {
		name, flags = cmp.Or(c.Command.HelpName, name), c.Command.Flags
	}
	return usageErrorf("%s (%s --help lists the flags)", complaint(err.Error(), flags), name)
}

// The complaints of the library and of package flag about a flag, its value, or an environment variable.
var (
	badValue    = regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?-([a-z0-9-]+): (.*)$`)
	badVariable = regexp.MustCompile(`(?s)^could not parse (".*?") (?:as \w+ value )?from environment variable "(\w+)" (?:as value )?for flag ([a-z0-9-]+): (.*)$`)
	noValue     = regexp.MustCompile(`^flag needs an argument: -([a-z0-9-]+)$`)
	noSuchFlag  = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
)

// complaint rewrites the library's complaint about a command line: flags as they are typed, with two dashes, and the values
// that a flag takes instead of a parser's error.
func complaint(text string, flags []cli.Flag) string {
	if m := badValue.FindStringSubmatch(text); m != nil {
		return wrongValue(dashes(m[2]), m[1], flagNamed(flags, m[2]), m[3])
	}
	if m := badVariable.FindStringSubmatch(text); m != nil {
		return wrongValue("$"+m[2], m[1], flagNamed(flags, m[3]), m[4])
	}
	if m := noValue.FindStringSubmatch(text); m != nil {
		return dashes(m[1]) + " needs a value"
	}
	if m := noSuchFlag.FindStringSubmatch(text); m != nil {
		return "unknown flag " + dashes(m[1])
	}
	return text
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	at := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if at < 0 {
		return nil
	}
	return flags[at]
}

// wrongValue complains about the value of a flag or of its environment variable. reason is the library's.
func wrongValue(where, value string, f cli.Flag, reason string) string {
	wants := ""
	switch f.(type) {
	case *cli.GenericFlag:
		return where + ": " + reason // of sizeValue, complete
	case *cli.IntFlag, *cli.Int64Flag:
		wants = "write a whole number"
	case *cli.Float64Flag:
		wants = "write a number"
	case *cli.BoolFlag:
		wants = "write true or false"
	case *cli.DurationFlag:
		wants = "write a duration with its unit, as in 500ms, 10s or 1h30m"
	}
	return fmt.Sprintf("%s %s: %s", where, value, cmp.Or(wants, reason))
}
