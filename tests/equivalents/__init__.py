"""The calls that docs/differences.md has for other libraries, to be run."""
