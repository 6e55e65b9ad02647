// Package msg reads and writes the messages of proto/clawchat/v1 that a client needs.
// A field that may stand once takes the last value that is given for it.
package msg

import "clawchat/pb"

// Kinds of stores.
const (
	KindUnknown = iota
	KindLocal
	KindHTTPS
	KindMega
)

// Store is where connection files are published.
type Store struct {
	Kind int
	URL  string // path, read_url or folder_link
	Pin  []byte // of an HTTPS store
}

func readStore(b []byte) (s Store, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		if f.Type != pb.Bytes || f.Number > KindMega {
			return nil
		}
		if s.Kind != f.Number { // the last kind counts; one that stands twice is merged
			s = Store{Kind: f.Number}
		}
		return pb.Walk(f.Bytes, func(in pb.Field) error {
			switch {
			case in.Number == 1:
				return in.Text(&s.URL)
			case in.Number == 2 && s.Kind == KindHTTPS:
				return in.Data(&s.Pin)
			}
			return nil
		})
	})
	return s, err
}

// Valid says whether the store is as the table of 3.3 says; an unknown kind is.
func (s Store) Valid() bool {
	most := 1024
	if s.Kind == KindMega {
		most = 256
	}
	return s.Kind == KindUnknown ||
		len(s.URL) >= 1 && len(s.URL) <= most && (len(s.Pin) == 0 || len(s.Pin) == 32)
}

// ValidStores judges all stores of an invite or a record.
func ValidStores(stores []Store) bool {
	if len(stores) > 8 {
		return false
	}
	for _, s := range stores {
		if !s.Valid() {
			return false
		}
	}
	return true
}

// Invite is how somebody learns whom to trust and where to look.
type Invite struct {
	Version    uint32
	Secret     []byte
	Identity   []byte
	ServerID   []byte
	ExpiresAtS uint32
	Stores     []Store
}

// ReadInvite parses an Invite.
func ReadInvite(b []byte) (v Invite, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.U32(&v.Version)
		case 2:
			return f.Data(&v.Secret)
		case 3:
			return f.Data(&v.Identity)
		case 4:
			return f.Data(&v.ServerID)
		case 5:
			return f.U32(&v.ExpiresAtS)
		case 6:
			return eachStore(f, &v.Stores)
		}
		return nil
	})
	return v, err
}

func eachStore(f pb.Field, to *[]Store) error {
	if f.Type != pb.Bytes {
		return nil
	}
	s, err := readStore(f.Bytes)
	*to = append(*to, s)
	return err
}

// InviteBundle is an invite with the connection file of that moment.
type InviteBundle struct {
	Invite         []byte
	ConnectionFile []byte
}

// ReadInviteBundle parses an InviteBundle.
func ReadInviteBundle(b []byte) (v InviteBundle, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.Data(&v.Invite)
		case 2:
			return f.Data(&v.ConnectionFile)
		}
		return nil
	})
	return v, err
}

// Bytes encodes the bundle.
func (v InviteBundle) Bytes() []byte {
	var w pb.Writer
	return w.Bytes(1, v.Invite).Bytes(2, v.ConnectionFile).Done()
}
