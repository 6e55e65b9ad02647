package msg

import "clawchat/pb"

// Told is what a host tells of somebody (11.8): how far they came, that they write, that
// they came or went, or that they are one of a room's people.
type Told struct {
	Person    []byte
	Name      string
	Room      string
	Delivered uint64
	Read      uint64
}

func (v *Told) field(body int, f pb.Field) error {
	if f.Number == 1 {
		return f.Data(&v.Person)
	}
	switch body<<8 | f.Number {
	case SayTyping<<8 | 2, SayPresence<<8 | 2, SayPeople<<8 | 2:
		return f.Text(&v.Name)
	case SayMark<<8 | 2, SayTyping<<8 | 3:
		return f.Text(&v.Room)
	case SayMark<<8 | 3, SayPeople<<8 | 5:
		return f.U64(&v.Delivered)
	case SayMark<<8 | 4, SayPeople<<8 | 6:
		return f.U64(&v.Read)
	}
	return nil
}

func (v *ChatReply) person(f pb.Field) error {
	if f.Number != 1 || f.Type != pb.Bytes {
		return nil
	}
	var one Told
	err := pb.Walk(f.Bytes, func(in pb.Field) error { return one.field(SayPeople, in) })
	v.People = append(v.People, one)
	return err
}

func (v *Told) valid(body int) bool {
	hasRoom := body == SayMark || body == SayTyping
	return len(v.Person) == 16 && len(v.Name) <= nameMax && (!hasRoom || isRoom(v.Room)) &&
		v.Delivered < below && v.Read < below
}

func validPeople(people []Told) bool {
	for i := range people {
		if !people[i].valid(SayPeople) {
			return false
		}
	}
	return len(people) <= 1024 // ROOM_PEOPLE_MAX
}

const nameMax = 64 // DEVICE_NAME_BYTES_MAX

const roomMax = 64 // ROOM_NAME_BYTES_MAX

func isRoom(name string) bool { return len(name) >= 1 && len(name) <= roomMax }
