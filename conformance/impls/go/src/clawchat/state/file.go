package state

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"clawchat/code"
)

// File is the state file with its lock.
type File struct {
	Data
	path string
	lock *os.File
}

// Open locks the state file and reads it; fresh says that there is none yet.
func Open(path string) (f *File, fresh bool, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, false, code.New(code.DirectoryLocked, "another process uses %s", path)
	}
	f = &File{path: path, lock: lock}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return f, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if info.Mode().Perm()&0o077 != 0 { // LI-008
		return nil, false, code.New(code.PermissionsLoose, "others can reach the keys: chmod 600 %s", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal(b, &f.Data); err != nil {
		return nil, false, code.New(code.StoreDamaged, "%s cannot be read: %v", path, err)
	}
	return f, false, nil
}

// Save replaces the file so that a crash leaves the old or the new content, and returns
// when the new one is durable (LI-008, CF-034).
func (f *File) Save() error {
	b, err := f.encode()
	if err != nil {
		return err
	}
	next := f.path + ".new"
	out, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return storage(err)
	}
	_, err = out.Write(b)
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next, f.path)
	}
	if err != nil {
		return storage(err)
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return storage(err)
	}
	defer dir.Close()
	return storage(dir.Sync())
}

func storage(err error) error {
	if err == nil {
		return nil
	}
	return code.New(code.StorageFull, "the state cannot be written: %v", err)
}
