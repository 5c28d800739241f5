"""A short seeded slice of `make chaos`: the run judges itself and says how to repeat it."""
import subprocess
import sys

from e2e.support.system import ROOT

FAULTS, SEED = 60, 20


def test_a_slice_of_chaos_loses_doubles_and_invents_nothing():
    done = subprocess.run([sys.executable, "-m", "e2e.chaos", "--faults", str(FAULTS), "--seed", str(SEED)], cwd=ROOT, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "0 lost, 0 twice, 0 backwards, 0 two writers, 0 invented" in done.stdout
