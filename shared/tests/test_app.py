import subprocess
import sys

from mipseg.settings import project_root

EXAMPLE = project_root() / "segmentation"  # whose example.py is served, by way of which matplotlib could come


def test_serving_loads_no_training_framework() -> None:
    unwanted = {"torch", "monai", "lightning", "matplotlib"}
    code = f"import sys, mipserve.app; mipserve.app.make_app(); print(sorted({unwanted} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=EXAMPLE, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
