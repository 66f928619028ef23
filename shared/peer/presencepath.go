package peer

func presencePath() verdict {
	return unsure(NotObservable, "nothing outside the clusters can see the XMPP path on port 7400; user sync says nothing about it")
}
