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
	configs, of := groupBy(runs, (*BenchRun).config)
	if len(configs) == 0 {
		return errors.New("report: there is nothing to plot")
	}
	title, unit, figure := "Server CPU for what it delivered (median)", "CPU seconds per GB", (*BenchRun).CPUPerGB
	if runs[0].Live != nil {
		unit = "CPU microseconds per delivery"
		figure = func(r *BenchRun) float64 { return r.ServerCPUSeconds * 1e6 / float64(max(r.Live.Deliveries, 1)) }
	}
	values, names := make(plotter.Values, len(configs)), make([]string, len(configs))
	for i, c := range configs {
		values[i], _, _ = quantiles(of[c], figure)
		names[i] = fmt.Sprintf("%s\nN=%d", c.server, c.count)
		if c.ring > 0 {
			names[i] += fmt.Sprintf("\nring %d", c.ring)
		}
	}
	return plotBars(path, title, unit, names, values)
}

// plotBars draws a bar from 0 on for each value, with its name below it.
func plotBars(path, title, unit string, names []string, values plotter.Values) error {
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
