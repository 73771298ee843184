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
	configs, of := group(runs)
	if len(configs) == 0 {
		return errors.New("report: there is nothing to plot")
	}
	p := plot.New()
	figure := (*BenchRun).CPUPerGB
	p.Title.Text = "Server CPU for what it delivered (median)"
	p.Y.Label.Text = "CPU seconds per GB"
	if runs[0].Live != nil {
		p.Y.Label.Text = "CPU microseconds per delivery"
		figure = func(r *BenchRun) float64 { return r.ServerCPUSeconds * 1e6 / float64(max(r.Live.Deliveries, 1)) }
	}
	p.Y.Min = 0
	values, names := make(plotter.Values, len(configs)), make([]string, len(configs))
	for i, c := range configs {
		values[i], _, _ = quantiles(of[c], figure)
		names[i] = fmt.Sprintf("%s\nN=%d", c.server, c.count)
		if c.ring > 0 {
			names[i] += fmt.Sprintf("\nring %d", c.ring)
		}
	}
	bars, err := plotter.NewBarChart(values, vg.Points(28))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	bars.Color = color.RGBA{R: 0x2b, G: 0x6c, B: 0xb0, A: 0xff}
	bars.LineStyle.Width = 0
	p.Add(plotter.NewGrid(), bars)
	p.NominalX(names...)
	if err := p.Save(vg.Length(len(configs))*vg.Inch+2*vg.Inch, 4*vg.Inch, path); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
