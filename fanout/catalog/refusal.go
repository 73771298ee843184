package catalog

import "fmt"

// Refusal is the reason to refuse a request: a Kafka error, and a message for the user. The zero value is none.
type Refusal struct {
	Code    int16
	Message string
}

// Refuse makes a refusal with a message.
func Refuse(code int16, format string, args ...any) Refusal {
	return Refusal{code, fmt.Sprintf(format, args...)}
}

// Answer returns the code and the message of a response.
func (r Refusal) Answer() (code int16, message *string) {
	if r.Message != "" {
		message = &r.Message
	}
	return r.Code, message
}
