"""Volumes over HTTP take a while, so each becomes a job: kept on disk, worked off one at a time in its own process."""
