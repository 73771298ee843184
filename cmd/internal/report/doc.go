// Package report prints the load generator's figures: tables for people, JSON for programs, a plot for both.
//
// # Invariants
//
//   - A figure that was not counted is shown as not counted, never as the expected figure.
//   - A count that disagrees with the model is marked in the table, explained below it, and reported to the caller.
package report
