package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/urfave/cli/v2"

	"oneplusn/fanout/flags"
)

// cliFlags turns entries of a table into flags of the library. Their current values are the defaults.
func cliFlags(entries []flags.Flag) []cli.Flag {
	out := make([]cli.Flag, 0, len(entries))
	for i := range entries {
		out = append(out, cliFlag(&entries[i]))
	}
	return out
}

func cliFlag(f *flags.Flag) cli.Flag {
	usage := f.Usage()
	switch to := f.Value.(type) {
	case *bool:
		return &cli.BoolFlag{Name: f.Name, Category: f.Heading, Usage: usage, Value: *to, Destination: to}
	case *int:
		return &cli.IntFlag{Name: f.Name, Category: f.Heading, Usage: usage, Value: *to, Destination: to}
	case *string:
		return &cli.StringFlag{Name: f.Name, Category: f.Heading, Usage: usage, Value: *to, Destination: to}
	case *time.Duration:
		return &cli.DurationFlag{Name: f.Name, Category: f.Heading, Usage: usage, Value: *to, Destination: to}
	case flags.Text:
		return &cli.GenericFlag{Name: f.Name, Category: f.Heading, Usage: usage, Value: to}
	}
	panic(fmt.Sprintf("oneplusn: --%s has a value of an unknown type, %T", f.Name, f.Value))
}

// sizeFlag is a flag for a number of bytes from least to most, read with sizeOf.
func sizeFlag(name, usage string, byDefault, least, most int64) cli.Flag {
	f := flags.Size(name, &byDefault, byDefault, least, most, usage)
	return cliFlag(&f)
}

// sizeOf is the number of bytes that the flag made by sizeFlag holds.
func sizeOf(c *cli.Context, name string) int64 {
	v, ok := c.Generic(name).(interface{ Bytes() int64 })
	if !ok {
		panic("oneplusn: no size flag is named " + name)
	}
	return v.Bytes()
}

// within limits the values that a user may give. The default may lie outside.
func within(least, most int, f *cli.IntFlag) cli.Flag {
	f.Action = func(_ *cli.Context, n int) error {
		if n < least || n > most {
			return usageErrorf("--%s is %d, allowed are %d to %d", f.Name, n, least, most)
		}
		return nil
	}
	return f
}

// named gives flags of a command their environment variables: ONEPLUSN_, the command's prefix if it has one, and the flag.
func named(prefix string, list ...cli.Flag) []cli.Flag {
	for _, f := range list {
		field(f, "EnvVars").Set(reflect.ValueOf([]string{flags.Variable(prefix + f.Names()[0])}))
	}
	return list
}

// category puts flags under a heading of their command's help.
func category(heading string, list ...cli.Flag) []cli.Flag {
	for _, f := range list {
		field(f, "Category").SetString(heading)
	}
	return list
}

// field is a field of all flag types of the library, which has no interface to set it.
func field(f cli.Flag, name string) reflect.Value {
	return reflect.ValueOf(f).Elem().FieldByName(name)
}
