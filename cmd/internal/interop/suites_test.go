//go:build interop

package interop

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var suiteRuns = flag.Int("suite-runs", 1, "how often to run franz-go's own suite")

// suitePatience bounds one run of a suite; it takes some 40 s on two processors.
const suitePatience = 6 * time.Minute

// suiteRecords is how many records the suite's group tests publish and consume: a tenth of its default.
const suiteRecords = 50_000

// suiteSkips are the suite's tests of transactions, which are for servers that have some, and a unit test of its
// decompression that talks to no server and hangs when a garbage collection comes at the wrong moment: it relies on a
// sync.Pool giving back what was put into it.
const suiteSkips = "TestTxn|TestDecompressPools"

// TestFranzGoSuite runs the integration tests that franz-go's authors run against Kafka: groups of every kind that
// rebalance, cooperatively too, while they consume. The tests of franz-go's other package, kadm, talk to no server.
func TestFranzGoSuite(t *testing.T) {
	for run := range *suiteRuns {
		t.Run(fmt.Sprintf("run %d", run+1), func(t *testing.T) {
			s := startServer(t, t.TempDir())
			runSuite(t, s.address)
			if made := strings.Count(s.log.String(), "topic created"); made == 0 {
				t.Error("the suite made no topic here: it did not talk to this server")
			}
		})
	}
}

func runSuite(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), suitePatience)
	defer cancel()
	// The tests come with the module, and run from a module that requires it.
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-timeout", suitePatience.String(), "-skip", suiteSkips,
		"github.com/twmb/franz-go/pkg/kgo")
	cmd.Dir = filepath.Join("clients", "golang")
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+address, "KGO_TEST_RF=1", fmt.Sprintf("KGO_TEST_RECORDS=%d", suiteRecords))
	out, err := cmd.CombinedOutput()
	passed, failed := bytes.Count(out, []byte("--- PASS: ")), bytes.Count(out, []byte("--- FAIL: "))
	t.Logf("%d passed, %d failed", passed, failed)
	if err != nil || passed == 0 {
		t.Errorf("%v\n%s", err, out[max(0, len(out)-20_000):])
	}
}
