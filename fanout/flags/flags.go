// Package flags describes settings. A setting is one [Flag]: its flag, environment variable, default, limits, the message about a
// value beyond them, and its line in the documentation all come from there. The package parses no command line: cmd/oneplusn
// hands its flags to a library.
package flags

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flag is one setting, and where its value goes.
type Flag struct {
	// Name has no dashes. Heading is the group that the flag is listed in.
	Name, Heading string
	// Help says what the setting does, with the placeholder of its value between back quotes.
	Help string
	// Value is where the value goes: *bool, *int, *string, *time.Duration, or a [Text].
	Value any
	// Default is the default as it would be typed, Note describes one that depends on something, or that is none.
	Default, Note string
	// Allowed are the limits in words, Check those that are more than a range.
	Allowed string
	Check   func() error

	reset   func()
	inRange func() (text string, ok bool)
}

// Text is a value with a written form of its own.
type Text interface {
	Set(text string) error
	String() string
}

func plain[T any](name string, to *T, byDefault T, help string) Flag {
	return Flag{Name: name, Help: help, Value: to, Default: fmt.Sprint(byDefault), reset: func() { *to = byDefault }}
}

// Bool is a setting that is on or off.
func Bool(name string, to *bool, byDefault bool, help string) Flag {
	return plain(name, to, byDefault, help)
}

// String is a setting whose text is its value.
func String(name string, to *string, byDefault, help string) Flag {
	return plain(name, to, byDefault, help)
}

// Count is a setting that counts something, from least to most.
func Count(name string, to *int, byDefault, least, most int, help string) Flag {
	return number(name, to, byDefault, least, most, strconv.Itoa, help)
}

// Duration is a setting from least to most.
func Duration(name string, to *time.Duration, byDefault, least, most time.Duration, help string) Flag {
	return number(name, to, byDefault, least, most, time.Duration.String, help)
}

// Size is a setting in bytes, from least to most.
func Size[T int | int32 | int64](name string, to *T, byDefault, least, most T, help string) Flag {
	f := number(name, to, byDefault, least, most, func(n T) string { return FormatSize(int64(n)) }, help)
	f.Value = &sizeValue[T]{to, least, most}
	return f
}

func number[T ~int | ~int32 | ~int64](name string, to *T, byDefault, least, most T, write func(T) string, help string) Flag {
	f := plain(name, to, byDefault, help)
	f.Default, f.Allowed = write(byDefault), write(least)+" to "+write(most)
	f.inRange = func() (string, bool) { return write(*to), *to >= least && *to <= most }
	return f
}

// Choice is a setting read by parse, whose error must name the flag. byDefault is the default text.
func Choice[T any](name string, to *T, byDefault string, parse func(string) (T, error), help string) Flag {
	c := &choice[T]{to, byDefault, parse}
	return Flag{Name: name, Help: help, Value: c, Default: byDefault, reset: func() {
		if err := c.Set(byDefault); err != nil {
			panic(fmt.Sprintf("flags: the default of --%s: %v", name, err))
		}
	}}
}

type choice[T any] struct {
	to    *T
	text  string
	parse func(string) (T, error)
}

func (c *choice[T]) String() string { return c.text }

func (c *choice[T]) Set(text string) (err error) {
	c.text = text
	*c.to, err = c.parse(text)
	return err
}

// With describes in words the allowed values of a flag that a range does not express, and sets their check.
func (f Flag) With(allowed string, check func() error) Flag {
	f.Allowed, f.Check = allowed, check
	return f
}

// ByDefault describes the default of a flag.
func (f Flag) ByDefault(note string) Flag {
	f.Note = note
	return f
}

// Under puts flags under a heading.
func Under(heading string, flags ...Flag) []Flag {
	for i := range flags {
		flags[i].Heading = heading
	}
	return flags
}

// Reset gives every setting its default.
func Reset(flags []Flag) {
	for i := range flags {
		flags[i].reset()
	}
}

// Validate reports the first setting whose value is not allowed, by its flag's name and with its limits. What a flag's own check
// finds says more than that the value is out of range, so it comes first.
func Validate(flags []Flag) error {
	for i := range flags {
		f := &flags[i]
		if f.Check != nil {
			if err := f.Check(); err != nil {
				return err
			}
		}
		if f.inRange != nil {
			if text, ok := f.inRange(); !ok {
				return fmt.Errorf("--%s is %s, allowed are %s", f.Name, text, f.Allowed)
			}
		}
	}
	return nil
}

// Variable is the environment variable that stands for a flag.
func Variable(flag string) string {
	return "ONEPLUSN_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Usage is the help, with the note on the default.
func (f *Flag) Usage() string {
	if f.Note == "" {
		return f.Help
	}
	return f.Help + " (default: " + f.Note + ")"
}
