"""The model card: `README.md` of a model folder, made of its `config.json`, `report.json`, `notes.md` and a template.

What was found out about these very networks beside the report stands in `notes.md`. An export leaves it out, since
the new networks are others.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from mipseg.model.folder import ModelConfig, NetworkFile, read_config
from mipseg.model.segmenter import MODELS
from mipseg.training.card_words import Identities, kind_words, reproduce_words, training_words
from mipseg.training.config import DEFAULT
from mipseg.training.perturb import UNCHANGED

CARD, REPORT, NOTES = "README.md", "report.json", "notes.md"
TEMPLATE = Path(__file__).parent / "model_card.md"
# What a model folder keeps of a run's report: the rest is in `config.json` or names every case.
FIELDS = (
    "patients",
    "controls",
    "dice",
    "lesions",
    "false_lesion_px",
    "controls_without_false_lesion",
    "by_min_patient",
    "classification",
    "calibration_curve",
    "lowest_dice",
    "robustness",
)
ENCODERS = {
    "random": "residual blocks",
    "half": "EfficientNet-Lite2 at half of the resolution",
    "full": "EfficientNet-Lite2 at the full resolution",
}
HASHES = "config_hash", "data_hash", "split_hash", "unlabelled_hash"
Robustness = Mapping[str, Mapping[str, Any]]


def card_report(report: Mapping[str, Any], architectures: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's report that a model folder keeps.

    Args:
        report: `report.json` of the run, and `robustness` or None.
        architectures: of each run the arguments of `build_network`, and `parameters`.
    """
    identities = {run: summarise_identities(folds) for run, folds in report["identities"].items()}
    added = {"ensemble": list(identities), "identities": identities, "architectures": dict(architectures)}
    return {name: report[name] for name in FIELDS} | added


def summarise_identities(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One summary of the identities of a run's folds, see `mipseg.training.identity.Identity`."""
    commits = {f"{fold['commit']}{' with changes' if fold['dirty'] else ''}" for fold in folds if fold["commit"]}
    versions = {f"{name} {number}" for fold in folds for name, number in fold["versions"].items()}
    same = {name: folds[0][name] for name in HASHES}
    return same | {"commits": sorted(commits), "versions": sorted(versions)}


def write_card(folder: Path) -> None:
    """Write the model card of a model folder.

    Raises:
        ModelError: the folder's configuration is missing or damaged.
    """
    (folder / CARD).write_text(render_card(folder), encoding="utf-8")


def render_card(folder: Path) -> str:
    """The model card of a model folder, in Markdown.

    Raises:
        ModelError: the folder's configuration is missing or damaged.
    """
    config, report = read_config(folder), json.loads((folder / REPORT).read_text())
    notes = folder / NOTES
    robustness = robustness_table(report["robustness"]) if report["robustness"] else "It was not measured.\n"
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        training_words(report),
        name=config.name,
        decoding=_decoding(config),
        networks=_network_table(config.networks),
        architectures=_architecture_table(report["architectures"]),
        notes=notes.read_text(encoding="utf-8").strip() if notes.is_file() else "None.",
        kind=kind_words(config.networks),
        n_folds=len(report["dice"]["per_fold"]),
        members=" and ".join(report["ensemble"]),
        patients=report["patients"],
        controls=report["controls"],
        false_lesion_px=report["false_lesion_px"],
        measures=_measure_table(report),
        deciles=", ".join(f"{value:.2f}" for value in report["dice"]["deciles"]),
        sizes=_size_table(report["lesions"]["any_overlap"]),
        by_min_patient=_min_patient_table(report["by_min_patient"], config.min_patient),
        calibration=_calibration_table(report["calibration_curve"]),
        robustness=robustness.strip(),
        not_clean=f"{1 - report['controls_without_false_lesion']:.0%}",
        lowest_dice=", ".join(f"{name} {value:.2f}" for name, value in report["lowest_dice"].items()),
        reproduce=reproduce_words(config.name, report["identities"]) + _identity_table(report["identities"]),
    )


def robustness_table(robustness: Robustness) -> str:
    """Dice under each perturbation as a Markdown table; see `mipseg.training.robustness`."""
    rows = []
    for name, result in robustness.items():
        low, high = result["interval_95"]
        difference = f"{result['difference']:+.3f} ({low:+.3f} to {high:+.3f})" if name != UNCHANGED else ""
        rows.append((name, f"{result['dice']:.3f}", difference))
    return _table(("Image", "Dice, mean", "Difference (95 %, paired)"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _decoding(config: ModelConfig) -> str:
    return (
        f"temperature {config.temperature:g}, least peak {config.min_peak:g}, "
        f"least probability of a tumour {config.min_patient:g}"
    )


def _network_table(networks: Sequence[NetworkFile]) -> str:
    rows = [(f"`{network.file}`", network.run, "yes" if network.mirrored else "no") for network in networks]
    return _table(("File", "Run", "Sees the mirror image"), rows)


def _architecture_table(architectures: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            run,
            ENCODERS[network["encoder"]],
            f"{network['smoothing']:g} px" if network["smoothing"] else "none",
            "{0} x {0}".format(network["pixel_unshuffle"]),
            "-".join(map(str, network["channels"])),
            f"{network['parameters'] / 1e6:.1f} million",
        )
        for run, network in architectures.items()
    ]
    return _table(
        (
            "Run",
            "Way down",
            "Smoothed for it by",
            "Pixels folded into channels",
            "Channels of the levels",
            "Parameters",
        ),
        rows,
    )


def _measure_table(report: Mapping[str, Any]) -> str:
    dice, classification = report["dice"], report["classification"]
    low, high = dice["interval_95"]
    counts = list(dice["patients_from"].items())
    parts = [f"{lower} to {upper}: {count}" for (lower, count), (upper, _) in pairwise([*counts, ("1.0", 0)])]
    rows = [
        (
            f"Dice over {report['patients']} patients",
            f"**mean {dice['mean']:.3f}** (95 % bootstrap interval {low:.3f} to {high:.3f}), "
            f"median {dice['median']:.3f}",
        ),
        ("Patients by Dice", "; ".join(parts)),
        ("Mean Dice of the folds", ", ".join(f"{value:.3f}" for value in dice["per_fold"])),
        (
            f"Tumour or not, {report['patients']} patients and {report['controls']} controls",
            f"AUC {classification['auc']:.3f}, Brier score {classification['brier']:.3f}; AUC of the networks' patient "
            f"head alone {classification['auc_head']:.3f}, of the summed probability above 0.5 alone "
            f"{classification['auc_summed_probability']:.3f}",
        ),
        (
            f"Controls without a false lesion of {report['false_lesion_px']} px or more",
            f"{report['controls_without_false_lesion']:.0%} of {report['controls']}",
        ),
    ]
    for key, title in (("any_overlap", "any overlap"), ("iou_0.1", "IoU of at least 0.1")):
        lesions = report["lesions"][key]
        sensitivity, f1 = (_or_none(lesions[name]) for name in ("sensitivity", "f1"))
        value = f"sensitivity {sensitivity}, positive predictive value {lesions['ppv']:.2f}, F1 {f1}"
        rows.append((f"Lesions of the patients, {title}", value))
    return _table(("Measure", "Value"), rows)


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _size_table(lesions: Mapping[str, Any]) -> str:
    def share(group: Mapping[str, Any]) -> str:
        return "none" if group["share"] is None else f"{group['share']:.0%} of {group['lesions']}"

    rows = [
        (f"{size} px", share(found), share(lesions["ppv_by_px"][size]))
        for size, found in lesions["sensitivity_by_px"].items()
    ]
    return _table(("Size of the lesion", "Reference lesions that are found", "Predicted lesions that are true"), rows)


def _min_patient_table(by_min_patient: Sequence[Mapping[str, float]], shipped: float) -> str:
    rows = [
        (
            f"**{row['min_patient']:g}** (default)" if row["min_patient"] == shipped else f"{row['min_patient']:g}",
            f"{row['dice']:.3f}",
            f"{row['controls_without_false_lesion']:.0%}",
        )
        for row in by_min_patient
    ]
    return _table(("`MIPSEG_MIN_PATIENT`", "Dice, mean over patients", "Controls without a false lesion"), rows)


def _calibration_table(groups: Sequence[Mapping[str, float]]) -> str:
    rows = [(f"{group['predicted']:.2f}", f"{group['observed']:.2f}", group["cases"]) for group in groups]
    return _table(("Predicted, mean", "Share with a tumour", "Cases"), rows)


def _identity_table(identities: Identities) -> str:
    if identities is None:
        return ""
    rows = [
        (
            run,
            *(f"`{(summary[name] or 'none')[:12]}`" for name in HASHES),
            ", ".join(summary["commits"]) or "unknown",
            ", ".join(summary["versions"]),
        )
        for run, summary in identities.items()
    ]
    head = ("Run", "Configuration", "Data", "Split", "Without masks", "Commit of the code", "Versions")
    return "\n\nThe runs, with SHA-256 of what decided them:\n\n" + _table(head, rows).strip()


def main() -> None:
    """Command line: `python -m mipseg.training.model_card [folder]` writes a model folder's card anew."""
    parser = argparse.ArgumentParser(prog="python -m mipseg.training.model_card", description=main.__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=MODELS / DEFAULT, help="the model folder")
    write_card(parser.parse_args().folder)


if __name__ == "__main__":
    main()
