package bolt

// Path is where the file is, for tests that damage it.
func (s *Store) Path() string { return s.path }
