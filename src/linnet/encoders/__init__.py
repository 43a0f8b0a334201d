"""Ways of reading a sequence: one file each."""
