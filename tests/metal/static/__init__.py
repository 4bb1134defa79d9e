"""Address spaces and other rules of Metal, checked without its compiler."""
