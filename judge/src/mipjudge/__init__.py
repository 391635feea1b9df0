"""The judge of a championship: teams, durable attempts, guarded requests to their endpoints, a scoreboard."""
