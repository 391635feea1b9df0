"""The measures of a body's size that SUV are divided by; pure.

Names are the terms of DICOM's `SUVType` (0054,1006).
"""

_HEIGHTS_M = (0.3, 2.5)  # of people; what lies outside was given in another unit
_JAMES = {"LBM": 120.0, "LBMJAMES128": 128.0}  # of men; James's own is 128, and 120 a slip that spread


def is_height(metres: float | None) -> bool:
    """Whether a number is a person's height in metres; None is none."""
    return metres is not None and _HEIGHTS_M[0] <= metres <= _HEIGHTS_M[1]


def body_size(kind: str, weight_kg: float, height_m: float, sex: str) -> float:
    """The size of a body: g, and cm2 of its surface.

    Args:
        kind: `BW`: weight. `LBM`, `LBMJAMES128`: lean body mass (James 1976, Research on Obesity, HMSO). `LBMJANMA`:
            the same by Janmahasatian et al. 2005, Clin Pharmacokinet 44:1051-1065. `IBW`: ideal weight (Sugawara et al.
            1999, Radiology 213:521-525). `BSA`: surface (Du Bois and Du Bois 1916, Arch Intern Med 17:863-871).
        weight_kg: body weight.
        height_m: body height.
        sex: `M` or `F`.

    Raises:
        KeyError: another kind.
    """
    is_male, height_cm = sex == "M", 100 * height_m
    if kind == "BW":
        return 1000 * weight_kg
    if kind == "BSA":
        return float(71.84 * weight_kg**0.425 * height_cm**0.725)
    if kind == "IBW":
        return 1000 * (48 + 1.06 * (height_cm - 152) if is_male else 45.5 + 0.91 * (height_cm - 152))
    if kind == "LBMJANMA":
        index = weight_kg / height_m**2
        return 1000 * 9270 * weight_kg / (6680 + 216 * index if is_male else 8780 + 244 * index)
    share, loss = (1.10, _JAMES[kind]) if is_male else (1.07, 148.0)
    return 1000 * (share * weight_kg - loss * (weight_kg / height_cm) ** 2)
