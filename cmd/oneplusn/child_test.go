package main

import (
	"context"
	"os"
	"testing"
)

// asMain makes the test binary behave as the program itself, so that tests can run it as a child process.
const asMain = "ONEPLUSN_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Exit(run(context.Background(), os.Args, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
