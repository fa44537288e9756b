package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		input string
		good  bool
		last  string   // the last line
		shows []string // what else a reader must find
		hides string   // what must not be there
	}{
		"a run that passed is summed up without its output": {
			input: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":1.5}`,
			good: true, last: "2 passed, 0 failed, 0 skipped", shows: []string{"ok    p", "2 tests", "1.5s"}, hides: "chatter",
		},
		"a failed test shows its output and not that of its neighbors": {
			input: `{"Action":"output","Package":"p","Test":"TestGood","Output":"quiet\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   quiet\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"fail","Package":"p"}`,
			last: "1 passed, 1 failed, 0 skipped", shows: []string{"FAIL p TestBad", "want 1, got 2"}, hides: "quiet",
		},
		"a skipped test fails the run and says why it was skipped": {
			input: `{"Action":"output","Package":"p","Test":"TestDB","Output":"no server here\n"}
{"Action":"skip","Package":"p","Test":"TestDB"}
{"Action":"pass","Package":"p"}`,
			last: "0 passed, 0 failed, 1 skipped", shows: []string{"SKIP p TestDB", "no server here"},
		},
		"a package without tests is named and counts as nothing": {
			input: `{"Action":"output","Package":"q","Output":"?   q [no test files]\n"}
{"Action":"skip","Package":"q"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			good: true, last: "1 passed, 0 failed, 0 skipped", shows: []string{"none  q"},
		},
		"a package that does not build shows the compiler's words once": {
			input: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"./p.go:3:1: syntax error\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			last: "0 passed, 1 failed, 0 skipped", shows: []string{"syntax error", "did not build"},
		},
		"a package that dies outside its tests shows its output": {
			input: `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic: in init\n"}
{"Action":"fail","Package":"p"}`,
			last: "1 passed, 1 failed, 0 skipped", shows: []string{"panic: in init"},
		},
		"a run that breaks off fails": {
			input: `{"Action":"start","Package":"p"}
{"Action":"pass","Package":"p","Test":"TestA"}`,
			last: "1 passed, 1 failed, 0 skipped", shows: []string{"did not finish"},
		},
		"an empty run fails": {
			last: "0 passed, 0 failed, 0 skipped", shows: []string{"no tests ran"},
		},
		"lines that are not JSON are passed on": {
			input: "go: downloading something\n" + `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			good: true, last: "1 passed, 0 failed, 0 skipped", shows: []string{"go: downloading something"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(tc.input)); err != nil {
				t.Fatal(err)
			}
			if good := r.close(); good != tc.good {
				t.Errorf("good = %v, want %v", good, tc.good)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; last != tc.last {
				t.Errorf("last line %q, want %q", last, tc.last)
			}
			for _, want := range tc.shows {
				if strings.Count(out.String(), want) != 1 {
					t.Errorf("want %q once in\n%s", want, &out)
				}
			}
			if tc.hides != "" && strings.Contains(out.String(), tc.hides) {
				t.Errorf("want no %q in\n%s", tc.hides, &out)
			}
		})
	}
}
