// Package code holds the error codes of ClawChat/1 (chapter 9).
package code

import (
	"errors"
	"fmt"
)

// Code is an ErrorCode of error.proto.
type Code uint32

// Known maps a code from the wire; an unknown one is INTERNAL (ER-002).
func Known(v uint32) Code {
	if _, ok := names[Code(v)]; ok {
		return Code(v)
	}
	return Internal
}

// Named finds the code of a name.
func Named(name string) (Code, bool) {
	for c, n := range names {
		if n == name {
			return c, true
		}
	}
	return Internal, false
}

func (c Code) String() string {
	if n, ok := names[c]; ok {
		return n
	}
	return names[Internal]
}

// Error is a failure with its code and a text for people.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Text }

// New makes an Error.
func New(c Code, format string, args ...interface{}) error {
	return &Error{c, fmt.Sprintf(format, args...)}
}

// Of says which code an error bears; INTERNAL when it bears none (ER-001).
func Of(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err == nil {
		return Unspecified
	}
	return Internal
}

// Exit is the exit code of a command that ended with this code (chapter 9).
func (c Code) Exit() int {
	switch {
	case c == Unspecified:
		return 0
	case c == Usage, c == RoomUnknown, c == MessageTooLarge:
		return 2
	case c >= InviteMalformed && c <= InviteUsed, c == EnrolInvalid, c == DeviceLimit:
		return 3
	case c >= FrameMalformed && c <= FrameUnexpected, c >= SequenceGap && c <= ServiceUnknown, c == NotPermitted:
		return 5
	case c >= DirectoryLocked && c <= OwnerLost, c == StorageFull:
		return 6
	case c == Internal:
		return 1
	}
	return 4
}
