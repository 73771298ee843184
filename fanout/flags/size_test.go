package flags

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSizesAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1048576": 1 << 20, "64KiB": 64 << 10, "64kib": 64 << 10, "64 KiB": 64 << 10, " 64KiB ": 64 << 10,
		"1.5MiB": 3 << 19, "256MB": 256e6, "1GB": 1e9, "1GiB": 1 << 30, "2TiB": 2 << 40, "1TB": 1e12, "3K": 3 << 10,
		"3k": 3 << 10, "3M": 3 << 20, "3G": 3 << 30, "3T": 3 << 40, "7B": 7, "7b": 7, "0.5KiB": 512, ".5KiB": 512, "1.KiB": 1024,
		"9223372036854775807": math.MaxInt64, "8388607TiB": 8388607 << 40, "+5": 5,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestSizesThatAreNoneAreRefusedWithAReason(t *testing.T) {
	for text, reason := range map[string]string{
		"": "not a number", " ": "not a number", "KiB": "not a number", "x": "not a number", "1e6": "not a number",
		"0x10": "not a number", "inf": "not a number", "NaN": "not a number", "1,5MiB": "not a number", "1.5.5": "not a number",
		"64KiBs": "not a number", "1_000": "not a number", "-1": "negative", "-64KiB": "negative", "-1.5KiB": "not a number",
		"1.5": "not a whole number", "0.3KiB": "not a whole number", "9223372036854775808": "more than", "8388608TiB": "more than",
		"99999999999.5TiB": "more than",
	} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q is %d, %v, want an error with %q", text, got, err, reason)
		}
	}
}

func TestSizesAreWrittenSoThatTheyReadTheSame(t *testing.T) {
	sizes := []int64{0, 1, 1023, 1024, 1025, 1<<20 + 12, 1<<31 - 1, 1 << 40, math.MaxInt64}
	random := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		sizes = append(sizes, random.Int64()>>random.IntN(63))
	}
	for _, want := range sizes {
		text := FormatSize(want)
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%d is written %q and read %d, %v", want, text, got, err)
		}
	}
	if got := FormatSize(1 << 20); got != "1MiB" {
		t.Errorf("a mebibyte is written %q", got)
	}
}
