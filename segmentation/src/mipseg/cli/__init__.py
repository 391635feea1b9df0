"""The command `mipseg`; one file a verb."""
