package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runCopiesWith runs the copy report with servers that are this test binary, started through a shell script. script is
// run before the server and may change its arguments.
func runCopiesWith(t *testing.T, script string) (code int, stdout, stderr string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "server")
	text := "#!/bin/sh\n" + script + "\n" + asMain + "=1 exec '" + binary + "' \"$@\"\n"
	if err := os.WriteFile(wrapper, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ONEPLUSN_SERVER_BINARY", wrapper)
	var out, errs bytes.Buffer
	code = run(context.Background(), []string{"oneplusn", "copies", "--size", "8MiB", "--subscribers", "3"}, &out, &errs)
	return code, out.String(), errs.String()
}

func TestCopyReportAgreesWithTheModel(t *testing.T) {
	code, out, errs := runCopiesWith(t, "")
	if code != exitOK {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	for _, want := range []string{"12.00/12.00", "10.00/10.00", "7.00/7.00", "4.00/4.00"} {
		if !strings.Contains(out, want) && !strings.Contains(out, strings.Split(want, "/")[0]+"/not all counted") {
			t.Errorf("the table has no total of %s:\n%s", want, out)
		}
	}
}

func TestCopyReportExitsOneWhenAModeMakesOtherCopies(t *testing.T) {
	// A server that was told to splice and copies instead.
	code, out, errs := runCopiesWith(t, `for arg do shift; [ "$arg" = splice ] && arg=copy; set -- "$@" "$arg"; done`)
	if code != exitError {
		t.Fatalf("exit code %d\n%s\n%s", code, out, errs)
	}
	for _, want := range []string{
		"! splice: cache>user was counted 3.000 times, the model says 0.000",
		"! splice: user>socket was counted 3.000 times, the model says 0.000",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	if !strings.Contains(errs, "differs from the model") {
		t.Errorf("the error is %q", errs)
	}
}
