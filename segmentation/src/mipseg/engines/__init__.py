"""Many inputs: what the cases are, what is done with one, and who does it."""
