package flags

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The binary units, in bytes.
const KiB, MiB, GiB, TiB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

// sizeUnits maps a unit to its bytes. Binary units and decimal ones are different numbers and are both accepted as
// written (IEC 80000-13); a bare number is bytes.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB}, {"TiB", TiB},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", KiB}, {"M", MiB}, {"G", GiB}, {"T", TiB},
	{"B", 1},
}

const sizeForms = "write it as 1048576, 64KiB, 1.5MiB or 256MB"

// ParseSize reads a number of bytes: digits, an optional decimal fraction, and an optional unit in any case. The result
// is whole and not negative.
func ParseSize(text string) (int64, error) {
	number, unit := strings.TrimSpace(text), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := cutSuffixFold(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole < 0 {
			return 0, fmt.Errorf("size %q is negative", text)
		}
		if whole > math.MaxInt64/unit {
			return 0, fmt.Errorf("size %q is more than %d bytes", text, int64(math.MaxInt64))
		}
		return whole * unit, nil
	}
	if !isDecimal(number) {
		return 0, fmt.Errorf("size %q is not a number of bytes: %s", text, sizeForms)
	}
	fraction, err := strconv.ParseFloat(number, 64)
	if err != nil || fraction*float64(unit) >= math.MaxInt64 {
		return 0, fmt.Errorf("size %q is more than %d bytes", text, int64(math.MaxInt64))
	}
	bytes := fraction * float64(unit)
	if bytes != math.Trunc(bytes) {
		return 0, fmt.Errorf("size %q is not a whole number of bytes", text)
	}
	return int64(bytes), nil
}

// isDecimal keeps out what strconv.ParseFloat takes besides plain decimals: exponents, hexadecimal, inf and nan.
func isDecimal(s string) bool {
	digits := strings.Replace(s, ".", "", 1)
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// FormatSize writes bytes so that ParseSize reads the same number: in the largest binary unit that divides it.
func FormatSize(bytes int64) string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; bytes >= u.bytes && bytes%u.bytes == 0 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}

// RoundSize writes bytes for people to read, with one decimal.
func RoundSize(bytes int64) string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; bytes >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", bytes)
}

type sizeValue[T int | int32 | int64] struct {
	to          *T
	least, most T
}

// Set implements [Text].
func (v *sizeValue[T]) Set(text string) error {
	bytes, err := ParseSize(text)
	if err != nil {
		return err
	}
	if bytes < int64(v.least) || bytes > int64(v.most) {
		return fmt.Errorf("size %q is outside %s to %s", text, FormatSize(int64(v.least)), FormatSize(int64(v.most)))
	}
	*v.to = T(bytes)
	return nil
}

// String implements [Text].
func (v *sizeValue[T]) String() string { return FormatSize(int64(*v.to)) }

func (v *sizeValue[T]) Bytes() int64 { return int64(*v.to) }
