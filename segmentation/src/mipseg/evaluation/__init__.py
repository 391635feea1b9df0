"""What masks are worth: each case against its reference, and all of them together."""
