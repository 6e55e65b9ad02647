package code

// The codes of error.proto, without their prefix.
const (
	Unspecified        Code = 0
	FileTooLarge       Code = 1
	FileMalformed      Code = 2
	VersionUnsupported Code = 3
	NotARecipient      Code = 4
	FileAltered        Code = 5
	SignatureInvalid   Code = 6
	SuccessionInvalid  Code = 7
	ServerMismatch     Code = 8
	RecordInvalid      Code = 9
	RecordRollback     Code = 10
	RecordEquivocation Code = 11
	ClockSuspect       Code = 12
	StoreUnavailable   Code = 13
	InviteMalformed    Code = 20
	InviteChecksum     Code = 21
	InviteExpired      Code = 22
	InviteUsed         Code = 23
	NotPermitted       Code = 24
	EnrolInvalid       Code = 25
	DeviceLimit        Code = 26
	HostUnreachable    Code = 30
	TlsFailed          Code = 31
	GateRefused        Code = 32
	HandshakeFailed    Code = 33
	Timeout            Code = 34
	RateLimited        Code = 35
	TransportFailed    Code = 40
	TransportExhausted Code = 41
	FrameMalformed     Code = 42
	FrameUnexpected    Code = 43
	PathDead           Code = 44
	PathSuperseded     Code = 45
	SessionLost        Code = 46
	SessionReplaced    Code = 47
	GenerationStale    Code = 48
	SequenceGap        Code = 49
	AckInvalid         Code = 50
	CreditExceeded     Code = 51
	StreamLimit        Code = 52
	StreamInvalid      Code = 53
	ServiceUnknown     Code = 54
	HostBusy           Code = 55
	Shutdown           Code = 56
	DeviceRevoked      Code = 57
	MessageMalformed   Code = 70
	MessageTooLarge    Code = 71
	RoomUnknown        Code = 72
	OutboxUnknown      Code = 73
	OutboxNumber       Code = 74
	OutboxMismatch     Code = 75
	OutboxFull         Code = 76
	RoomExists         Code = 77
	RoomForbidden      Code = 78
	MessageUnknown     Code = 79
	RoomLimit          Code = 80
	PersonUnknown      Code = 81
	Usage              Code = 90
	DirectoryLocked    Code = 91
	SchemaNewer        Code = 92
	StoreDamaged       Code = 93
	PermissionsLoose   Code = 94
	OwnerLost          Code = 95
	NotJoined          Code = 96
	AlreadyJoined      Code = 97
	DeviceUnknown      Code = 98
	NoPort             Code = 99
	StorageFull        Code = 100
	DatabaseOld        Code = 101
	Cancelled          Code = 102
	Internal           Code = 103
)

var names = map[Code]string{
	Unspecified:        "UNSPECIFIED",
	FileTooLarge:       "FILE_TOO_LARGE",
	FileMalformed:      "FILE_MALFORMED",
	VersionUnsupported: "VERSION_UNSUPPORTED",
	NotARecipient:      "NOT_A_RECIPIENT",
	FileAltered:        "FILE_ALTERED",
	SignatureInvalid:   "SIGNATURE_INVALID",
	SuccessionInvalid:  "SUCCESSION_INVALID",
	ServerMismatch:     "SERVER_MISMATCH",
	RecordInvalid:      "RECORD_INVALID",
	RecordRollback:     "RECORD_ROLLBACK",
	RecordEquivocation: "RECORD_EQUIVOCATION",
	ClockSuspect:       "CLOCK_SUSPECT",
	StoreUnavailable:   "STORE_UNAVAILABLE",
	InviteMalformed:    "INVITE_MALFORMED",
	InviteChecksum:     "INVITE_CHECKSUM",
	InviteExpired:      "INVITE_EXPIRED",
	InviteUsed:         "INVITE_USED",
	NotPermitted:       "NOT_PERMITTED",
	EnrolInvalid:       "ENROL_INVALID",
	DeviceLimit:        "DEVICE_LIMIT",
	HostUnreachable:    "HOST_UNREACHABLE",
	TlsFailed:          "TLS_FAILED",
	GateRefused:        "GATE_REFUSED",
	HandshakeFailed:    "HANDSHAKE_FAILED",
	Timeout:            "TIMEOUT",
	RateLimited:        "RATE_LIMITED",
	TransportFailed:    "TRANSPORT_FAILED",
	TransportExhausted: "TRANSPORT_EXHAUSTED",
	FrameMalformed:     "FRAME_MALFORMED",
	FrameUnexpected:    "FRAME_UNEXPECTED",
	PathDead:           "PATH_DEAD",
	PathSuperseded:     "PATH_SUPERSEDED",
	SessionLost:        "SESSION_LOST",
	SessionReplaced:    "SESSION_REPLACED",
	GenerationStale:    "GENERATION_STALE",
	SequenceGap:        "SEQUENCE_GAP",
	AckInvalid:         "ACK_INVALID",
	CreditExceeded:     "CREDIT_EXCEEDED",
	StreamLimit:        "STREAM_LIMIT",
	StreamInvalid:      "STREAM_INVALID",
	ServiceUnknown:     "SERVICE_UNKNOWN",
	HostBusy:           "HOST_BUSY",
	Shutdown:           "SHUTDOWN",
	DeviceRevoked:      "DEVICE_REVOKED",
	MessageMalformed:   "MESSAGE_MALFORMED",
	MessageTooLarge:    "MESSAGE_TOO_LARGE",
	RoomUnknown:        "ROOM_UNKNOWN",
	OutboxUnknown:      "OUTBOX_UNKNOWN",
	OutboxNumber:       "OUTBOX_NUMBER",
	OutboxMismatch:     "OUTBOX_MISMATCH",
	OutboxFull:         "OUTBOX_FULL",
	RoomExists:         "ROOM_EXISTS",
	RoomForbidden:      "ROOM_FORBIDDEN",
	MessageUnknown:     "MESSAGE_UNKNOWN",
	RoomLimit:          "ROOM_LIMIT",
	PersonUnknown:      "PERSON_UNKNOWN",
	Usage:              "USAGE",
	DirectoryLocked:    "DIRECTORY_LOCKED",
	SchemaNewer:        "SCHEMA_NEWER",
	StoreDamaged:       "STORE_DAMAGED",
	PermissionsLoose:   "PERMISSIONS_LOOSE",
	OwnerLost:          "OWNER_LOST",
	NotJoined:          "NOT_JOINED",
	AlreadyJoined:      "ALREADY_JOINED",
	DeviceUnknown:      "DEVICE_UNKNOWN",
	NoPort:             "NO_PORT",
	StorageFull:        "STORAGE_FULL",
	DatabaseOld:        "DATABASE_OLD",
	Cancelled:          "CANCELLED",
	Internal:           "INTERNAL",
}
