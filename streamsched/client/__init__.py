"""The producer side: the four calls, submissions, and their results."""
