package report

import (
	"errors"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Plot draws the server's CPU time for each GB (drains) or each delivery (live runs), a bar for each configuration, to
// a file whose ending says the format: svg, png or pdf.
func Plot(path string, runs []*BenchRun) error {
	unit, figure := "CPU seconds per GB", (*BenchRun).CPUPerGB
	if len(runs) > 0 && runs[0].Live != nil {
		unit, figure = "CPU microseconds per delivery", (*BenchRun).cpuPerDelivery
	}
	name := func(r *BenchRun) string {
		text := fmt.Sprintf("%s\nN=%d", r.name(), r.Subscribers)
		if r.RingSize > 0 {
			text += fmt.Sprintf("\nring %d", r.RingSize)
		}
		return text
	}
	return plotBars(path, "Server CPU for what it delivered (median)", unit, groupBy(runs, (*BenchRun).config), name, figure)
}

// plotBars draws a bar from 0 on for each configuration, with its name below it.
func plotBars[R any](path, title, unit string, configs [][]R, name func(R) string, figure func(R) float64) error {
	if len(configs) == 0 {
		return errors.New("report: there is nothing to plot")
	}
	var values plotter.Values
	var names []string
	for _, runs := range configs {
		median, _, _ := quantiles(runs, figure)
		values, names = append(values, median), append(names, name(runs[0]))
	}
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Y.Min = title, unit, 0
	bars, err := plotter.NewBarChart(values, vg.Points(28))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	bars.Color = color.RGBA{R: 0x2b, G: 0x6c, B: 0xb0, A: 0xff}
	bars.LineStyle.Width = 0
	p.Add(plotter.NewGrid(), bars)
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5 // else the outer bars are cut in half
	if err := p.Save(vg.Length(len(names))*vg.Inch+2*vg.Inch, 4*vg.Inch, path); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
