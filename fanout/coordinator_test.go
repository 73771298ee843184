package fanout

import (
	"os"
	"path/filepath"
	"testing"

	"oneplusn/fanout/group"
	"oneplusn/fanout/offsets"
)

// Several clients look for a coordinator before there is one, and its topic cannot be made: all get an error.
func TestEveryClientIsToldWhenThereCanBeNoCoordinator(t *testing.T) {
	var dir string
	s := start(t, func(c *Config) { dir = c.DataDir })
	// A file where the directory of the topic's partition has to be.
	if err := os.WriteFile(filepath.Join(dir, offsets.Topic+"-0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const clients = 3
	told := make(chan error, clients)
	s.broker.Do(func() {
		for range clients {
			s.broker.offsets.WithCoordinator(func(_ *group.Coordinator, failed error) { told <- failed })
		}
	})
	for range clients {
		if err := <-told; err == nil {
			t.Error("a client was told that there is a coordinator")
		}
	}
	if err := os.Remove(filepath.Join(dir, offsets.Topic+"-0")); err != nil {
		t.Fatal(err)
	}
	s.broker.Do(func() { s.broker.offsets.WithCoordinator(func(_ *group.Coordinator, failed error) { told <- failed }) })
	if err := <-told; err != nil {
		t.Errorf("once the topic can be made: %v", err)
	}
}
