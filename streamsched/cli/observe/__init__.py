"""Commands that read: status, top, tail, trace, explain, query."""
