"""What broke from outside, a kind a file: each with the table of its cases, on real servers."""
