"""How often something comes up among random draws."""

import math


def within_3_sigma(found: int, draws: int, probability: float) -> bool:
    """Whether a share of draws is as near to its probability as 99.7 % of all such shares."""
    return abs(found / draws - probability) < 3 * math.sqrt(probability * (1 - probability) / draws)
