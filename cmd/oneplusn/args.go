package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command line between its command and its arguments. The library stops looking for flags at the
// first argument, and loses a flag that stands before a subcommand, but people type `pub TOPIC --file x` and
// `topics --server x create TOPIC`. args begins with the program's name; arguments after "--" stay in place.
func flagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) < 2 || strings.HasPrefix(args[1], "-") {
		return args
	}
	path, flags, arguments := slices.Clone(args[:1]), []string(nil), []string(nil)
	var known []cli.Flag
	for at := 1; at < len(args); at++ {
		arg := args[at]
		sub := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(arg) })
		switch {
		case arg == "--":
			return slices.Concat(path, flags, args[at:at+1], arguments, args[at+1:])
		case arg != "-" && strings.HasPrefix(arg, "-"):
			flags = append(flags, arg)
			if takesValue(known, arg) && at+1 < len(args) {
				at++
				flags = append(flags, args[at])
			}
		case sub >= 0 && len(arguments) == 0:
			path = append(path, arg)
			commands, known = commands[sub].Subcommands, commands[sub].Flags
		default:
			arguments = append(arguments, arg)
		}
	}
	if len(path) == 1 {
		return args // the command is unknown: the library says so
	}
	return slices.Concat(path, flags, arguments)
}

// takesValue reports whether the next argument is the value of this flag.
func takesValue(flags []cli.Flag, arg string) bool {
	name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	f := flagNamed(flags, name)
	_, isBool := f.(*cli.BoolFlag)
	return f != nil && !isBool && !hasValue
}
