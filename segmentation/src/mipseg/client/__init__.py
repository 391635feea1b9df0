"""The team's side of the championship's judge: submit the endpoint, follow the attempt, read the score."""
