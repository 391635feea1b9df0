"""What the service, its client and the judge share when they talk: addresses, limits, JSON and error codes."""
