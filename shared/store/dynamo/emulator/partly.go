package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
)

// partly cuts a BatchGetItem on one table down to its first keys. later writes
// the others into the answer as UnprocessedKeys, as DynamoDB does when a table
// is busy. Where not one key is kept, the first is asked for all the same, since
// a request without keys is refused, and later takes it out of the answer.
func partly(request []byte, keep int) (less []byte, later func(answer []byte) ([]byte, error), err error) {
	var fields map[string]json.RawMessage
	var tables map[string]map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(request, &fields), json.Unmarshal(fields["RequestItems"], &tables)); err != nil || len(tables) != 1 {
		return nil, nil, fmt.Errorf("unprocessed: want a BatchGetItem on one table (%w)", err)
	}
	var table string
	var keys []json.RawMessage
	for table = range tables {
		if err := json.Unmarshal(tables[table]["Keys"], &keys); err != nil || len(keys) == 0 {
			return nil, nil, fmt.Errorf("unprocessed: no keys (%w)", err)
		}
	}
	keep = min(keep, len(keys)-1)
	left := keys[keep:]
	if tables[table]["Keys"], err = json.Marshal(keys[:max(keep, 1)]); err != nil {
		return nil, nil, err
	}
	if fields["RequestItems"], err = json.Marshal(tables); err != nil {
		return nil, nil, err
	}
	if less, err = json.Marshal(fields); err != nil {
		return nil, nil, err
	}
	return less, func(answer []byte) ([]byte, error) {
		var out map[string]json.RawMessage
		if err := json.Unmarshal(answer, &out); err != nil {
			return nil, err
		}
		if keep == 0 {
			out["Responses"] = json.RawMessage(`{}`)
		}
		tables[table]["Keys"], err = json.Marshal(left)
		if err != nil {
			return nil, err
		}
		if out["UnprocessedKeys"], err = json.Marshal(tables); err != nil {
			return nil, err
		}
		return json.Marshal(out)
	}, nil
}
