"""The benchmark against other libraries, each in a process of its own."""
