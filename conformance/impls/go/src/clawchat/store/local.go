// Package store reads the stores that connection files lie in (chapter 7).
package store

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"clawchat/code"
	"clawchat/connfile"
)

const candidatesMax = 4 // STORE_CANDIDATES_MAX

// Local reads a file and the conflict copies beside it (DI-010, DI-005).
func Local(path string) ([][]byte, error) {
	if !filepath.IsAbs(path) || strings.HasPrefix(path, "//") { // DI-011
		return nil, code.New(code.StoreUnavailable, "the path is not absolute or names another machine")
	}
	var files [][]byte
	var first error
	for _, name := range append([]string{path}, conflictCopies(path)...) {
		if len(files) == candidatesMax {
			break
		}
		b, err := readPlain(name)
		if err == nil {
			files = append(files, b)
		} else if first == nil {
			first = code.New(code.StoreUnavailable, "%s", reason(err))
		}
	}
	if len(files) == 0 {
		return nil, first
	}
	return files, nil
}

func reason(err error) string {
	if errors.Is(err, os.ErrNotExist) {
		return "absent"
	}
	return "refused"
}

// readPlain reads a plain file, one byte more than a connection file may have
// (DI-002, DI-011). It does not wait for the writer of a pipe.
func readPlain(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("not a plain file")
	}
	return io.ReadAll(io.LimitReader(f, connfile.FileBytesMax+1))
}

// conflictCopies lists what synchronizing programs left beside a file, the last
// changed first.
func conflictCopies(path string) []string {
	dir, base := filepath.Split(path)
	ext := filepath.Ext(base)
	name := strings.TrimSuffix(base, ext)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []os.FileInfo
	for _, e := range entries {
		n := e.Name()
		if n == base || !strings.HasSuffix(n, ext) {
			continue
		}
		syncthing := strings.HasPrefix(n, name+".sync-conflict-")
		dropbox := strings.HasPrefix(n, name+" (") && strings.HasSuffix(n, ")"+ext)
		if info, err := e.Info(); err == nil && (syncthing || dropbox) {
			found = append(found, info)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].ModTime().After(found[j].ModTime()) })
	var names []string
	for _, f := range found {
		names = append(names, dir+f.Name())
	}
	return names
}
