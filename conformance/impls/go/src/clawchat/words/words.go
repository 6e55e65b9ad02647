// Package words writes the words that two people compare when a device enrols (8.5, EN-040).
package words

import (
	"strings"

	"clawchat/kdf"
)

const (
	consonants = "bdfghjklmnprstvz"
	vowels     = "aiou"
)

// Of are the words of an identity key and a device key.
func Of(identity, deviceKey []byte) string { return Write(kdf.Words(identity, deviceKey)) }

// Write turns each 16 bits into a word.
func Write(b []byte) string {
	var words []string
	for i := 0; i+1 < len(b); i += 2 {
		v := int(b[i])<<8 | int(b[i+1])
		words = append(words, string([]byte{
			consonants[v>>12&15], vowels[v>>10&3], consonants[v>>6&15], vowels[v>>4&3], consonants[v&15],
		}))
	}
	return strings.Join(words, "-")
}
