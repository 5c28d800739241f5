"""Live benchmarks; they measure the release build."""
import os
import pathlib

os.environ.setdefault("FAIRLEAD_BIN", str(pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"))
