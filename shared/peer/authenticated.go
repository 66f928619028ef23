package peer

func (l *link) authenticated() verdict {
	if e := l.puller.entries; !e.Known() && e.Why() != NoDialect {
		return l.puller.blind(e.Why(), e.Detail)
	}
	if l.recent() {
		return yes(CredentialsAccepted, Measured, "the entry's credentials worked at the last sync")
	}
	if !l.hasEntry || !l.entry.HasError {
		return unsure(NotObservable, "only the Inter-Clustering page's Peer Connectivity Test shows whether the entry's credentials are accepted")
	}
	switch l.entry.Error {
	case ErrorCredentials:
		return no(PeerCredentialsRejected, Measured, "%s refuses the AXL user name or password in %s's peer entry", l.id.To, l.id.From)
	case "":
		return yes(CredentialsAccepted, Measured, "the entry reports no error")
	}
	// Not NotObservable: a password that was refused is not right again because
	// something else now fails before it is asked for.
	return unsure(CannotConnect, "the sync of %s from %s fails before or after its log-in (%s), so its credentials are not tried", l.id.From, l.id.To, errorWord(l.entry.Error))
}

// errorWord keeps what a site's query may yield out of messages, if it is none
// of our words: it may change with each try.
func errorWord(s string) string {
	switch s {
	case ErrorUnreachable, ErrorCertificate, ErrorNames, ErrorDomain:
		return s
	}
	return ErrorOther
}
