"""Commands that append to the log: submit, cancel, append, cordon, pause, configure; and acl."""
