"""The host code for Apple's GPUs on a device that writes down its orders."""
