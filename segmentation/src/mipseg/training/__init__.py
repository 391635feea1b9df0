"""Training, evaluation and export; needs the extra `train` (PyTorch), which serving never imports."""
