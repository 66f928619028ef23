package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
)

// moto refuses items above 405,000 bytes (moto 5.2, dynamodb/models), DynamoDB
// above 400 KB, which are 409,600. shelf keeps the bodies in between, with a
// marker in their place.
type shelf struct {
	mu     sync.Mutex
	bodies map[string][]byte // marker -> the text as it stands in JSON, with its quotes
}

const (
	motoLimit   = 405_000 - 4096 // bytes; keys and names have room
	dynamoLimit = 400 << 10
)

// store takes an over-long body out of a PutItem request.
func (s *shelf) store(request []byte) []byte {
	if len(request) < motoLimit {
		return request
	}
	var fields map[string]json.RawMessage
	var item map[string]map[string]json.RawMessage
	if json.Unmarshal(request, &fields) != nil || json.Unmarshal(fields["Item"], &item) != nil {
		return request
	}
	raw := item["body"]["S"]
	var text string
	if json.Unmarshal(raw, &text) != nil || len(text) < motoLimit || len(text) > dynamoLimit {
		return request
	}
	sum := sha256.Sum256(raw)
	marker, err := json.Marshal("shelf-" + hex.EncodeToString(sum[:]))
	if err != nil {
		return request
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bodies == nil {
		s.bodies = map[string][]byte{}
	}
	s.bodies[string(marker)] = raw
	return bytes.Replace(request, raw, marker, 1)
}

// restore puts bodies back into an answer.
func (s *shelf) restore(answer []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for marker, raw := range s.bodies {
		answer = bytes.ReplaceAll(answer, []byte(marker), raw)
	}
	return answer
}
