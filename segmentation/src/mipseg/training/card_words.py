"""What a model card says of where a model comes from: only what is known of its data and its training."""

from collections.abc import Mapping, Sequence
from typing import Any

from mipseg.model.folder import NetworkFile
from mipseg.training.config import CONFIGS, DEFAULT

PUBLISHED = "a6796ae68753b98550c9124488c890c3a077043c8658e166d157c40abcd1a4d4"
"""`data_hash` of the DM-i-AI 2025 set that the shipped networks were trained on."""
Identities = Mapping[str, Mapping[str, Any]] | None
"""Summary of each run's identities; None: a model that was put together from several trainings, all on that set."""


def training_words(report: Mapping[str, Any]) -> dict[str, str]:
    """What a model card says of the data and the training.

    Args:
        report: the part of a run's report that a model folder keeps.

    Returns:
        Texts by their place in the template.
    """
    identities: Identities = report["identities"]
    people = f"{report['patients']} patients and {report['controls']} controls"
    if _is_published(identities):
        data = (
            f"The {people} of the published DM-i-AI 2025 set that were at hand. The organisers' data set\n"
            "has no licence file; no image of it is in this repository."
        )
        chosen = (
            "Kinds of networks, their training and what is done to images were\n"
            "chosen on these same folds over many experiments, so new patients may do a little worse."
        )
    else:
        data = f"{people} of the data set that it was trained on."
        chosen = (
            "What this repository does to images, and the\n"
            "training's defaults, were chosen on another data set, the published DM-i-AI 2025 set."
        )
    labelled = " Patients without masks are labelled by the network itself in the course of its training."
    return {
        "data": data,
        "chosen": chosen,
        "unlabelled": labelled if _uses_unlabelled(identities) else "",
        "judges": "average of the runs' networks" if len(report["ensemble"]) > 1 else "network",
    }


def kind_words(networks: Sequence[NetworkFile]) -> str:
    """How many networks there are, and of what they are averaged."""
    count = len({network.sha256 for network in networks})
    if count > 1:
        return f"{count} U-Nets with BatchNorm, averaged"
    both = ", averaged over the image and its mirror image" if len(networks) > 1 else ""
    return f"one U-Net with BatchNorm{both}"


def reproduce_words(name: str, identities: Identities) -> str:
    """How to train a model of some name again."""
    if identities is None:
        return (
            "This model was put together from several trainings, which the notes above name; no one command makes it\n"
            "again. `make data FROM=<the organisers' repository>`, then `make train` trains the same kinds by\n"
            f"the configurations of this repository, from `configs/{name}.toml` on."
        )
    if _is_published(identities):
        begin = "`make data FROM=<the organisers' repository>`, then"
    else:
        begin = "With the data set in `MIPSEG_DATA_DIR`:"
    if name == DEFAULT:
        command = f"`make train` (`configs/{name}.toml`)"
    elif (CONFIGS / f"{name}.toml").is_file():
        command = f"`python -m mipseg.training run segmentation/src/mipseg/training/configs/{name}.toml`"
    else:
        command = "`python -m mipseg.training run <your TOML>`"
    others = ", with the patients without masks in `MIPSEG_UNLABELLED_DIR`" if _uses_unlabelled(identities) else ""
    return (
        f"{begin} {command}{others}.\n"
        "It trains every fold of the runs above, evaluates, trains what ships on all cases and exports."
    )


def _is_published(identities: Identities) -> bool:
    return identities is None or all(summary["data_hash"] == PUBLISHED for summary in identities.values())


def _uses_unlabelled(identities: Identities) -> bool:
    return identities is None or any(summary["unlabelled_hash"] for summary in identities.values())
