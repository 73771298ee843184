package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"oneplusn/fanout"
)

// checkBenchFlags finds mistakes that a scenario would only meet after its measurements.
func checkBenchFlags(c *cli.Context) error {
	for _, flag := range []string{"target", "target-admin"} {
		if address := c.String(flag); address != "" {
			if err := fanout.CheckAddress(flag, address); err != nil {
				return err
			}
		}
	}
	if path := c.String("nginx"); path != "" && path != "auto" {
		if _, err := exec.LookPath(path); err != nil {
			return fmt.Errorf("--nginx %s: %w", path, err)
		}
	}
	plots := []string{".svg", ".png", ".pdf"}
	if path := c.String("plot"); path != "" && !slices.Contains(plots, filepath.Ext(path)) {
		return fmt.Errorf("--plot %s: the name must end with one of %s", path, strings.Join(plots, ", "))
	}
	for _, flag := range []string{"json", "plot"} {
		if err := checkOutput(flag, c.String(flag)); err != nil {
			return err
		}
	}
	return nil
}

// checkOutput makes sure that a file can be written, without changing an existing one.
func checkOutput(flag, path string) error {
	if path == "" {
		return nil
	}
	_, missing := os.Lstat(path)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	if os.IsNotExist(missing) {
		defer func() { _ = os.Remove(path) }()
	}
	return file.Close()
}

// setsFlag reports whether arguments of serve, as placeOf builds them, set a flag.
func setsFlag(arguments []string, flag string) bool {
	return slices.ContainsFunc(arguments, func(a string) bool { return strings.HasPrefix(a, "--"+flag+"=") })
}
