"""An endpoint of the championship: one image to it, and its reply as the judge reads it."""
