"""Pictures and pages of what was found, for people to read."""
