package scenario

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Script is what happens to a server, apart from the chances of the machine, which the seed decides. As text it is one line for the seed
// and one for each step:
//
//	seed 17
//	120ms produce 8123
type Script struct {
	Seed  uint64
	Steps []Step
}

// Step is something that happens.
type Step struct {
	At   time.Duration // since the machine was made
	Verb string
	Seed uint64 // decides the rest of it
}

func (s Step) String() string { return fmt.Sprintf("%v %s %d", s.At, s.Verb, s.Seed) }

// WriteTo writes the script as text.
func (s *Script) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", s.Seed)
	for _, step := range s.Steps {
		fmt.Fprintln(&b, step)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// ReadScript reads a script. Empty lines and those that begin with # are left out.
func ReadScript(r io.Reader) (*Script, error) {
	s := new(Script)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		if err := s.readLine(text); err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", n, text, err)
		}
	}
	return s, lines.Err()
}

func (s *Script) readLine(text string) error {
	if _, err := fmt.Sscanf(text, "seed %d", &s.Seed); err == nil {
		return nil
	}
	var at string
	var step Step
	_, err := fmt.Sscanf(text, "%s %s %d", &at, &step.Verb, &step.Seed)
	if err != nil {
		return err
	}
	if step.At, err = time.ParseDuration(at); err != nil {
		return err
	}
	if verbNamed(step.Verb) == nil {
		return fmt.Errorf("there is no verb %q", step.Verb)
	}
	s.Steps = append(s.Steps, step)
	return nil
}

// Draw draws a script from a seed: which verbs occur at all, how often each, how many steps and how close together.
func Draw(seed uint64) *Script {
	draw := rand.New(rand.NewPCG(seed, 3))
	s := &Script{Seed: seed}
	var weights []int
	total := 0
	for _, v := range verbs {
		weight := 0
		if v.often > 0 && draw.IntN(4) > 0 {
			weight = v.often << draw.IntN(4)
		}
		weights = append(weights, weight)
		total += weight
	}
	gap := time.Millisecond << draw.IntN(9)
	at := time.Duration(0)
	for range 20 << draw.IntN(5) {
		if total == 0 {
			break
		}
		at += time.Duration(draw.Int64N(int64(2 * gap)))
		s.Steps = append(s.Steps, Step{at.Round(time.Microsecond), verbs[pick(draw, weights, total)].name, uint64(draw.Uint32())})
	}
	return s
}

// pick draws an index by weight.
func pick(draw *rand.Rand, weights []int, total int) int {
	n := draw.IntN(total)
	return slices.IndexFunc(weights, func(w int) bool { n -= w; return n < 0 })
}
