// Package invite reads and writes invites (chapter 8.1).
package invite

import (
	"bytes"
	"strings"

	"clawchat/code"
	"clawchat/kdf"
	"clawchat/msg"
)

const (
	prefix        = "clawchat1"
	alphabet      = "0123456789abcdefghjkmnpqrstvwxyz"
	inviteMax     = 2048
	bundleMagic   = "ClawChat bundle 1\n"
	bundleLike    = "ClawChat bundle "
	bundleMax     = 266240
	checksumBytes = 4
)

// Write is the text form of an encoded Invite.
func Write(encoded []byte) string {
	var out strings.Builder
	out.WriteString(prefix)
	var bits, held uint
	for _, b := range append(append([]byte{}, encoded...), kdf.InviteChecksum(encoded)...) {
		held, bits = held<<8|uint(b), bits+8
		for bits >= 5 {
			bits -= 5
			out.WriteByte(alphabet[held>>bits&31])
		}
	}
	if bits > 0 {
		out.WriteByte(alphabet[held<<(5-bits)&31])
	}
	return out.String()
}

// Read reads the text form (IN-004, IN-005).
func Read(text string) (msg.Invite, []byte, error) {
	malformed := func(why string) (msg.Invite, []byte, error) {
		return msg.Invite{}, nil, code.New(code.InviteMalformed, "%s", why)
	}
	folded := fold(text)
	if !strings.HasPrefix(folded, prefix) {
		return malformed("this is no invite")
	}
	var decoded []byte
	var bits, held uint
	for i := len(prefix); i < len(folded); i++ {
		c := folded[i]
		switch c {
		case 'o':
			c = '0'
		case 'i', 'l':
			c = '1'
		}
		v := strings.IndexByte(alphabet, c)
		if v < 0 {
			return malformed("a letter does not belong")
		}
		held, bits = held<<5|uint(v), bits+5
		if bits >= 8 {
			bits -= 8
			decoded = append(decoded, byte(held>>bits))
			held &= 1<<bits - 1
		}
	}
	if bits >= 5 || held != 0 || len(decoded) < checksumBytes {
		return malformed("the text is cut off")
	}
	encoded := decoded[:len(decoded)-checksumBytes]
	if !bytes.Equal(kdf.InviteChecksum(encoded), decoded[len(encoded):]) {
		return msg.Invite{}, nil, code.New(code.InviteChecksum, "a letter is wrong")
	}
	v, err := parse(encoded)
	return v, encoded, err
}

// fold drops ASCII white space and hyphens and folds A to Z, and nothing else (IN-004).
func fold(text string) string {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		switch {
		case dropped(r):
		case r >= 'A' && r <= 'Z':
			out = append(out, byte(r)+'a'-'A')
		default:
			out = append(out, string(r)...)
		}
	}
	return string(out)
}

// dropped says whether the table of chapter 8.1 names r.
func dropped(r rune) bool {
	for _, rg := range [][2]rune{
		{0x09, 0x0d}, {0x20, 0x20}, {0x85, 0x85}, {0xa0, 0xa0}, {0x2000, 0x2015}, {0x2028, 0x2029}, {0x202f, 0x202f},
		{0x205f, 0x2060}, {0x3000, 0x3000}, {0xad, 0xad}, {0xfeff, 0xfeff}, {0x2212, 0x2212}, {0xfe58, 0xfe58},
		{0xfe63, 0xfe63}, {0xff0d, 0xff0d}, {0x2018, 0x201f}, {0x2039, 0x203a}, {0xab, 0xab}, {0xbb, 0xbb},
	} {
		if r >= rg[0] && r <= rg[1] {
			return true
		}
	}
	return strings.ContainsRune("-\"'`*_>.,", r)
}

// parse is the part of IN-005 behind the checksum. The server id is filled in.
func parse(encoded []byte) (msg.Invite, error) {
	malformed := code.New(code.InviteMalformed, "the invite breaks a rule")
	if len(encoded) > inviteMax {
		return msg.Invite{}, malformed
	}
	v, err := msg.ReadInvite(encoded)
	switch {
	case err != nil:
		return msg.Invite{}, malformed
	case v.Version != 1:
		return msg.Invite{}, code.New(code.VersionUnsupported, "invite of version %d", v.Version)
	case len(v.Secret) != 32, len(v.Identity) != 32, len(v.ServerID) != 0 && len(v.ServerID) != 32,
		!msg.ValidStores(v.Stores):
		return msg.Invite{}, malformed
	}
	if len(v.ServerID) == 0 {
		v.ServerID = kdf.ServerID(v.Identity)
	}
	return v, nil
}

// IsBundle tells a bundle from a text (8.1).
func IsBundle(b []byte) bool { return bytes.HasPrefix(b, []byte(bundleLike)) }

// ReadBundle reads an invite with its connection file (IN-007).
func ReadBundle(b []byte) (v msg.Invite, encoded, file []byte, err error) {
	malformed := code.New(code.InviteMalformed, "the bundle cannot be read")
	if !bytes.HasPrefix(b, []byte(bundleMagic)) {
		if IsBundle(b) {
			err = code.New(code.VersionUnsupported, "another kind of bundle")
		} else {
			err = malformed
		}
		return v, nil, nil, err
	}
	body := b[len(bundleMagic):]
	if len(body) > bundleMax {
		return v, nil, nil, malformed
	}
	bundle, err := msg.ReadInviteBundle(body)
	if err != nil || len(bundle.Invite) == 0 || len(bundle.ConnectionFile) == 0 {
		return v, nil, nil, malformed
	}
	v, err = parse(bundle.Invite)
	return v, bundle.Invite, bundle.ConnectionFile, err
}

// Expired judges an invite by a clock (IN-006): it is over one millisecond after its time.
func Expired(v msg.Invite, nowMs uint64) bool { return nowMs > uint64(v.ExpiresAtS)*1000 }
