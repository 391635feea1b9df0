"""Drawn whole-body FDG-PET phantoms: a volume or its MIP image, with the exact tumour mask."""

from mipseg.phantom.drawing import SPACING_MM, Phantom, VolumePhantom, make_phantom, make_volume_phantom

__all__ = ["SPACING_MM", "Phantom", "VolumePhantom", "make_phantom", "make_volume_phantom"]
