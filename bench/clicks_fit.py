"""The rule by which a click corrects a mask, fitted to clicks on the errors of predictions."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

HIDDEN = (32, 16)
STEPS = 1300
BATCH = 4096
RATE = 4e-3
DICE = 0.88  # about what a mask has after a few clicks
AREA_SHARE = 0.3  # 0: errors weigh by their share of the patient's tumour, 1: all the same

Rule = dict[str, Any]
"""As the page's `correct/grow.js` wants it."""


class Examples(NamedTuple):
    """Pixels around clicks.

    Attributes:
        numbers: (N, F) float32 that describe each pixel.
        is_wrong: (N,) float32, 1 where the mask is wrong.
        weight: (N,) float32.
        removes: (N,) bool, whether the click takes away.
        fold: (N,) the patient's fold.
    """

    numbers: npt.NDArray[np.float32]
    is_wrong: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    removes: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int_]


def read_examples(files: Sequence[tuple[Path, list[dict[str, Any]]]]) -> Examples:
    """Read what `clicks.mjs` wrote: each file with its index."""
    index = [click for _, clicks in files for click in clicks]
    rows = sum(click["rows"] for click in index)
    table = np.concatenate([np.fromfile(file, np.float32) for file, _ in files]).reshape(rows, -1)
    weights = [
        click["pixels"] / max(1, click["rows"]) / click["area"] ** AREA_SHARE / click["tumour"] ** (1 - AREA_SHARE)
        for click in index
    ]
    count = [click["rows"] for click in index]
    return Examples(
        numbers=table[:, :-1],
        is_wrong=table[:, -1],
        weight=np.repeat(np.array(weights, np.float32), count),
        removes=np.repeat([click["removes"] for click in index], count),
        fold=np.repeat([click["fold"] for click in index], count),
    )


def fit_rule(examples: Examples, chosen: npt.NDArray[np.bool_]) -> Rule:
    """Fit both networks to some of the examples.

    A mask of the Dice D gains by a pixel that is tumour with a probability above D / 2 (Lipton et al. 2014, ECML PKDD
    8725:225-239), which is less than one half. So the networks add from somewhat lower odds on, and remove from higher.
    """
    rule = {
        "add": _fit(examples, chosen & ~examples.removes),
        "remove": _fit(examples, chosen & examples.removes),
    }
    for name, sign in (("add", 1), ("remove", -1)):
        last = rule[name][-1]
        last["bias"] = [round(last["bias"][0] + sign * math.log(2 / DICE - 1), 4)]
    return rule


def _fit(examples: Examples, chosen: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    numbers, share = examples.numbers[chosen], np.cumsum(examples.weight[chosen], dtype=np.float64)
    mean, spread = numbers.mean(0), numbers.std(0)
    scale = np.where(spread > 0, 1 / (spread + 1e-3), 0).astype(np.float32)  # numbers of removing alone may be constant
    x, y = torch.from_numpy((numbers - mean) * scale), torch.from_numpy(examples.is_wrong[chosen])
    sizes = (x.shape[1], *HIDDEN)
    hidden = [part for size, n in zip(sizes, HIDDEN, strict=False) for part in (nn.Linear(size, n), nn.ReLU())]
    network = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        batch = np.searchsorted(share, draw.uniform(0, share[-1], BATCH))  # drawn by weight
        loss = nn.functional.binary_cross_entropy_with_logits(network(x[batch])[:, 0], y[batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    linear = [part for part in network if isinstance(part, nn.Linear)]
    layers = [(part.weight.detach().numpy(), part.bias.detach().numpy()) for part in linear]
    weights, bias = layers[0]
    layers[0] = weights * scale, bias - weights @ (mean * scale)  # so that the page need not standardise
    return [{"weights": _rounded(weights), "bias": _rounded(bias)} for weights, bias in layers]


def _rounded(values: npt.NDArray[np.float32]) -> Any:
    return [_rounded(value) for value in values] if values.ndim > 1 else [float(f"{value:.4g}") for value in values]


def write_rule(rule: Rule, file: Path) -> None:
    """Write the rule as the page's module, one row of weights a line."""
    text = json.dumps(rule, separators=(",", ":")).replace("],[", "],\n[").replace('"weights"', '\n"weights"')
    file.write_text(
        "// @ts-check\n// Written by bench/clicks.py, which fits it; not meant to be edited.\n"
        f'/** @type {{import("./grow.js").Rule}} */\nexport const RULE = {text};\n'
    )
