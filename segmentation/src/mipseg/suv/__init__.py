"""SUV by body weight from what a PET header says, or the reason why there is none; nothing here reads files."""
