package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of "go test -json"; "go doc test2json" and "go help buildjson" describe them.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail, in place of Package
	FailedBuild string // on the failure of a package: the package that did not build
	Test        string
	Output      string
	Elapsed     float64
}

// report sums up the events of one run.
type report struct {
	out                     io.Writer
	packages                map[string]*progress // those that have started and not ended
	builds                  map[string]*strings.Builder
	passed, failed, skipped int
}

// progress is what is known of a package while its tests run.
type progress struct {
	output map[string]*strings.Builder // by test; "" holds what belongs to none
	ended  int
	failed int
}

func newReport(out io.Writer) *report {
	return &report{out: out, packages: make(map[string]*progress), builds: make(map[string]*strings.Builder)}
}

// read takes in events until in ends. A line that is not JSON is passed on as it is.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.add(e)
			} else {
				_, _ = r.out.Write(line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) add(e event) {
	switch e.Action {
	case "build-output":
		appendTo(r.builds, e.ImportPath, e.Output)
		return
	case "build-fail":
		r.printf("%s", text(r.builds, e.ImportPath))
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &progress{output: make(map[string]*strings.Builder)}
		r.packages[e.Package] = p
	}
	switch {
	case e.Action == "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT: who took turns is not what failed
			appendTo(p.output, e.Test, e.Output)
		}
	case e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
		// Such as "start", "run", "pause" and "cont": nothing to count.
	case e.Test != "":
		r.endTest(p, e)
	default:
		r.endPackage(p, e)
	}
}

func (r *report) endTest(p *progress, e event) {
	p.ended++
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		p.failed++
		r.printf("\nFAIL %s %s\n%s\n", e.Package, e.Test, text(p.output, e.Test))
	case "skip":
		r.skipped++
		r.printf("\nSKIP %s %s\n%s\n", e.Package, e.Test, text(p.output, e.Test))
	}
	delete(p.output, e.Test)
}

func (r *report) endPackage(p *progress, e event) {
	delete(r.packages, e.Package)
	switch e.Action {
	case "pass":
		r.printf("ok    %-64s %5d tests %7.1fs\n", e.Package, p.ended, e.Elapsed)
	case "skip":
		r.printf("none  %-64s no test files\n", e.Package)
	case "fail":
		if p.failed == 0 { // It did not build, panicked, raced outside a test or ran out of time.
			r.failed++
		}
		if e.FailedBuild != "" {
			r.printf("FAIL  %-64s %s did not build\n", e.Package, e.FailedBuild)
			return
		}
		if p.failed == 0 {
			for _, test := range slices.Sorted(maps.Keys(p.output)) {
				r.printf("%s", text(p.output, test))
			}
		}
		r.printf("FAIL  %-64s %5d tests %7.1fs\n", e.Package, p.ended, e.Elapsed)
	}
}

// close prints the totals and reports whether the run was good.
func (r *report) close() bool {
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		r.failed++
		r.printf("FAIL  %-64s did not finish\n", name)
	}
	nothing := r.passed+r.failed+r.skipped == 0
	if nothing {
		r.printf("no tests ran\n")
	}
	if r.skipped > 0 {
		r.printf("skipped tests fail the run: what a test needs, make test installs\n")
	}
	r.printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.failed == 0 && r.skipped == 0 && !nothing
}

func (r *report) printf(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }

func appendTo(m map[string]*strings.Builder, key, s string) {
	b := m[key]
	if b == nil {
		b = new(strings.Builder)
		m[key] = b
	}
	b.WriteString(s)
}

func text(m map[string]*strings.Builder, key string) string {
	if b := m[key]; b != nil {
		return b.String()
	}
	return ""
}
