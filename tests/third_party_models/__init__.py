"""Models by other people, built small, and what compares two runs of one."""
