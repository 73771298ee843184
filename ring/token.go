package ring

import "fmt"

// Token names the owner of an operation: what kind of operation it is, which slot it belongs to, and which generation
// of that slot. It travels through the kernel as user_data and comes back with the completion.
//
//	 63      56 55               32 31                        0
//	+----------+-------------------+---------------------------+
//	|   kind   |    generation     |           slot            |
//	+----------+-------------------+---------------------------+
//
// The generation lets a completion that arrives after its slot was freed and reused be told from a current one.
// This file is the only code that shifts these bits.
type Token uint64

const (
	tokenSlotBits       = 32
	tokenGenerationBits = 24

	// MaxGeneration is the largest generation a token can carry; the next one after it is 0 again. A slot would have
	// to be reused 16.7 million times while one completion is under way for two of its lives to be confused.
	MaxGeneration = 1<<tokenGenerationBits - 1
)

// NewToken packs a token. Only the low 24 bits of generation are kept.
func NewToken(kind uint8, slot, generation uint32) Token {
	return Token(kind)<<(tokenSlotBits+tokenGenerationBits) |
		Token(generation&MaxGeneration)<<tokenSlotBits |
		Token(slot)
}

// As is the token of another kind of operation of the same owner.
func (t Token) As(kind uint8) Token { return NewToken(kind, t.Slot(), t.Generation()) }

// Kind says which of its owner's operations completed.
func (t Token) Kind() uint8 { return uint8(t >> (tokenSlotBits + tokenGenerationBits)) }

// Slot is the index of the owner in its table.
func (t Token) Slot() uint32 { return uint32(t) }

// Generation is the life of the slot, at most [MaxGeneration].
func (t Token) Generation() uint32 { return uint32(t>>tokenSlotBits) & MaxGeneration }

// String shows the three fields, for logs.
func (t Token) String() string {
	return fmt.Sprintf("kind=%d slot=%d generation=%d", t.Kind(), t.Slot(), t.Generation())
}
