"""MIPseg: tumour segmentation in whole-body MIP-PET images."""
