"""The split: five folds, stratified by image height and tumour size; fixed for the championship's data set."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mipseg.errors import DatasetError, MipsegError
from mipseg.io.dataset import Case, load_dataset
from mipseg.settings import Settings
from mipseg.training.identity import DataHashes, hash_cases, hash_folds

FOLDS = 5
SEED = 20251
FOLDS_FILE = Path(__file__).parent / "folds.json"
NAMED = 5  # most cases that an error names


@dataclass(frozen=True)
class Split:
    """The data set and the fold of each case.

    Attributes:
        cases: all of them.
        folds: the fold, counted from 0, of each case id.
        unlabelled: more patients, without reference; they belong to no fold.
    """

    cases: Sequence[Case]
    folds: Mapping[str, int]
    unlabelled: Sequence[Case] = ()

    @property
    def count(self) -> int:
        """Number of folds."""
        return max(self.folds.values()) + 1

    @cached_property
    def hashes(self) -> DataHashes:
        """See `hash_cases` and `hash_folds`."""
        return DataHashes(
            hash_cases(self.cases),
            hash_folds({case.id: self.folds[case.id] for case in self.cases}),
            hash_cases(self.unlabelled) if self.unlabelled else None,
        )

    def require_both_kinds(self) -> None:
        """Check that every fold can be judged: it needs a patient, and for the classifier a control.

        Raises:
            DatasetError: a fold has none.
        """
        for fold in range(self.count):
            kinds = {case.has_tumour for case in self.left_out(fold)}
            for kind, name in ((True, "patient"), (False, "control")):
                if kind not in kinds:
                    raise DatasetError(f"fold {fold} of {self.count} has no {name}; each needs patients and controls")

    def training(self, fold: int | None) -> list[Case]:
        """The cases of all other folds; None: all cases."""
        return [case for case in self.cases if self.folds[case.id] != fold]

    def left_out(self, fold: int | None) -> list[Case]:
        """The cases of a fold; None: no case."""
        return [case for case in self.cases if self.folds[case.id] == fold]


def make_folds(cases: Sequence[Case], count: int = FOLDS) -> dict[str, int]:
    """Deal cases to folds so that each fold gets short and tall images, and small and large tumours, alike.

    Patients and controls are dealt apart. Each group is sorted by height class and then by tumour area, cut into
    runs of as many cases as there are folds, and each run dealt to the folds in random order.

    Returns:
        The fold, 0 to `count` - 1, of each case id.
    """
    rng = np.random.default_rng(SEED)
    folds: dict[str, int] = {}
    for group in ([c for c in cases if c.has_tumour], [c for c in cases if not c.has_tumour]):
        ordered = sorted(group, key=lambda c: (c.image.shape[0] > 600, int(c.mask.sum()), c.image.shape[0], c.id))
        for start in range(0, len(ordered), count):
            run = ordered[start : start + count]
            folds.update({case.id: int(fold) for case, fold in zip(run, rng.permutation(count), strict=False)})
    return dict(sorted(folds.items()))


def read_folds(cases: Sequence[Case], data: Path) -> dict[str, int]:
    """The fold of each case, from the data set's own `folds.json`, else from the one that is kept with the code.

    Args:
        cases: those of the data set.
        data: its folder.

    Raises:
        DatasetError: the file is damaged, or does not name some of the cases.
    """
    file = data / FOLDS_FILE.name
    if not file.is_file():
        file = FOLDS_FILE
    try:
        kept = {str(name): int(fold) for name, fold in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DatasetError(f"{file} is damaged: {error}") from error
    unknown = [case.id for case in cases if case.id not in kept]
    if unknown:
        names = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
        raise DatasetError(
            f"{len(unknown)} cases have no fold in {file}: {names}. "
            f"`python -m mipseg.training.split` deals the whole data set anew, into {data / FOLDS_FILE.name}; runs of "
            "the old split can't go on then"
        )
    return {case.id: kept[case.id] for case in cases}


def main() -> None:
    """Command line: `python -m mipseg.training.split` deals the installed data set anew."""
    parser = argparse.ArgumentParser(
        prog="python -m mipseg.training.split",
        description=f"Deal the data set to {FOLDS} folds, and write {FOLDS_FILE.name} into its folder.",
    )
    parser.parse_args()
    try:
        data = Settings().data_dir
        cases, file = load_dataset(data), data / FOLDS_FILE.name
        folds = make_folds(cases)
        Split(cases, folds).require_both_kinds()
        file.write_text(json.dumps(folds, indent=0) + "\n")
    except (MipsegError, OSError) as error:
        parser.exit(1, f"error: {error}\n")
    sys.stdout.write(f"dealt {len(folds)} cases to {FOLDS} folds in {file}\n")


if __name__ == "__main__":
    main()
