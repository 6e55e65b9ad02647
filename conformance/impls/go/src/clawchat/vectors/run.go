// Package vectors runs the test vectors of ClawChat/1 (test-vectors/README.md).
package vectors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"clawchat/code"
)

// answer is what came out of a vector; released is what was handed to the caller.
type answer struct {
	output   object
	released []byte
	err      error
}

type family func(v vector) answer

var families = []struct {
	name string
	run  family
}{
	{"derivation", derivation},
	{"words", wordsFamily},
	{"invite", inviteFamily},
	{"gate", gateFamily},
	{"handshake", handshakeFamily},
	{"connection-file", connectionFile},
	{"records", records},
	{"enrolment", enrolment},
	{"session", sessionFamily},
	{"chat", chatFamily},
	{"rotation", rotation},
}

// errSkipped is the answer to a vector for a part that this program does not have.
var errSkipped = fmt.Errorf("skipped")

// Run runs every family that lies in dir and reports on w. It says whether all passed.
func Run(dir string, w io.Writer) (bool, error) {
	passed, failed, skipped := 0, 0, 0
	for _, f := range families {
		file, err := load(filepath.Join(dir, f.name+".json"))
		if os.IsNotExist(err) {
			fmt.Fprintf(w, "%s: not there\n", f.name)
			continue
		}
		if err != nil {
			return false, err
		}
		p, s := 0, 0
		for _, v := range file.Vectors {
			v.file = file
			got := attempt(f.run, v)
			if got.err == errSkipped {
				s++
			} else if why := judge(v, got); why != "" {
				failed++
				fmt.Fprintf(w, "FAILED %s: %s\n", v.ID, why)
			} else {
				p++
			}
		}
		passed, skipped = passed+p, skipped+s
		fmt.Fprintf(w, "%s: %d of %d", f.name, p, len(file.Vectors)-s)
		if s > 0 {
			fmt.Fprintf(w, " (%d for hosts skipped)", s)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", passed, failed)
	return failed == 0, nil
}

func attempt(run family, v vector) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: fmt.Errorf("panic: %v", p)}
		}
	}()
	return run(v)
}

func load(path string) (*vectorFile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &vectorFile{byID: map[string]vector{}}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, v := range f.Vectors {
		f.byID[v.ID] = v
	}
	return f, nil
}

// judge compares an answer with what the vector wants; empty means that it passed.
func judge(v vector, a answer) string {
	if v.Error == "" && a.err != nil {
		return fmt.Sprintf("refused with %v", a.err)
	}
	if v.Error != "" && !named(v, a.err) {
		return fmt.Sprintf("wants %s, got %v", v.Error, a.err)
	}
	if v.Output != nil && !same(v.Output, a.output) {
		got, _ := json.Marshal(a.output)
		want, _ := json.Marshal(v.Output)
		return fmt.Sprintf("other output:\n  got  %.2000s\n  want %.2000s", got, want)
	}
	if sum := sha256.Sum256(a.released); v.Released != "" && v.Released != hex.EncodeToString(sum[:]) {
		return "other bytes were released"
	}
	return ""
}

func named(v vector, err error) bool {
	if err == nil {
		return false
	}
	got := code.Of(err).String()
	for _, name := range append(v.Also, v.Error) {
		if got == name {
			return true
		}
	}
	return false
}

func same(want, got object) bool {
	b, err := json.Marshal(got)
	if err != nil {
		return false
	}
	var again object
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(&again) == nil && reflect.DeepEqual(want, again)
}
