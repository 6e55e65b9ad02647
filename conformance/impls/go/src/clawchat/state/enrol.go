package state

import (
	"clawchat/code"
	"clawchat/connfile"
	"clawchat/msg"
)

const (
	deviceNameMax = 64
	secretBytes   = 32
)

// Reply is an Enrolled that the host sent on the invite's path. When its check passes
// the device is GRANTED; otherwise nothing changes (EN-013). CLOCK_SUSPECT alone leaves
// the reply accepted (CF-030).
func (d *Data) Reply(e msg.Enrolled, nowMs uint64) error {
	if len(e.DeviceSecret) != secretBytes || len(e.Name) < 1 || len(e.Name) > deviceNameMax {
		return code.New(code.FrameMalformed, "the reply breaks a rule")
	}
	accepted, err := connfile.ReadEnvelope(e.Envelope, d.Trust(), nowMs)
	if err != nil {
		return err
	}
	d.Accept(accepted)
	d.State, d.Name = Granted, e.Name
	d.Secret = append([]byte{}, e.DeviceSecret...)
	return accepted.ClockSuspect
}

// HeardAsDevice is a frame on a path of the device: the invite is of no use any more
// (EN-010). It says whether something changed.
func (d *Data) HeardAsDevice() bool {
	if d.State != Granted {
		return false
	}
	d.State, d.Invite, d.EnrolSent = Device, nil, false
	return true
}

// MayJoin says whether another invite may be used (EN-012).
func (d *Data) MayJoin() error {
	if d.State == Device {
		return code.New(code.AlreadyJoined, "this device has joined a host")
	}
	return nil
}
