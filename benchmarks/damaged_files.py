"""How damaged model files end: 10,000 of them, made of real exports by a seed.

    python benchmarks/damaged_files.py --cases 1000
    python benchmarks/damaged_files.py --case 1234 --keep folder

The tiny forms of some zoo models are exported once into .model-cache/damaged-files. Each case
changes bytes, fields or the graph of one, and is optimized in a process of its own, within 30 s of
processor time and 2 GB.
Whatever is a defect is printed with the number that shows it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from graphopt import models  # noqa: E402
from tests.fuzzing import SOURCES  # noqa: E402
from tests.fuzzing.cases import draw_case  # noqa: E402
from tests.fuzzing.running import run_cases, table  # noqa: E402

CACHE = ROOT / ".model-cache" / "damaged-files"
PROGRESS = 250


def exports() -> list[Path]:
    """The models, exported where they are not in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, exporter, dtype in SOURCES:
        path = CACHE / f"{name}.{exporter}.{dtype}.onnx"
        if not path.exists():
            models.export(name, path, exporter=exporter, dtype=dtype)
        paths.append(path)
    return paths


def main() -> None:
    """Prints the defects as they come, then how many ended how."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000, help="how many (default 10,000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all of them (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="side by side")
    parser.add_argument("--case", type=int, help="run this one alone, and print what it said")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the file of --case there")
    parser.add_argument("models", nargs="*", type=Path, help="files to damage instead")
    chosen = parser.parse_args()
    sources = chosen.models or exports()
    numbers = range(chosen.first, chosen.first + chosen.cases)
    if chosen.case is not None:
        numbers = range(chosen.case, chosen.case + 1)
    if chosen.keep is not None:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        print(*draw_case(chosen.seed, numbers[0], sources, chosen.keep))
        return
    began, ends = time.monotonic(), []
    for ended in run_cases(chosen.seed, numbers, sources, jobs=chosen.jobs):
        ends.append(ended)
        if len(ends) % PROGRESS == 0:
            print(f"{len(ends)} of {len(numbers)} cases ended", file=sys.stderr, flush=True)
        if ended.is_defect or chosen.case is not None:
            lines = ended.said.strip().splitlines()
            print(f"{ended.end}: {ended.case}\n    " + "\n    ".join(lines[-12:]), flush=True)
    print(table(ends))
    slowest, largest = max(e.seconds for e in ends), max(e.bytes for e in ends)
    print(
        f"\n{time.monotonic() - began:.0f} s; the slowest took {slowest:.1f} s, the largest "
        f"{largest / 1e6:.0f} MB"
    )
    sys.exit(any(ended.is_defect for ended in ends))


if __name__ == "__main__":
    main()
