//go:build race

package fanout

// raceSlowdown is how many times longer the loop may take under the race detector.
const raceSlowdown = 10
