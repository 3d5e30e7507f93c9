"""Runs one part of the SDK behaviours in a network and mount namespace of its own.

    run.py python|node|durability --binary PATH --sdk FOLDER [-k NAME]

`cargo xtask sdk` calls this after it has built the binary and installed the SDKs. The namespace has only `lo`, up, and
its own /etc/hosts, so that the real ports are free, the hub has a dotted host name, nothing reaches the outside and
several runs go side by side. Without root it lies in a user namespace, where it may bind low ports all the same.
The last line is `behaviours: N passed, N failed`.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import namespace, results  # noqa: E402
from harness.node import run_node  # noqa: E402
from harness.pytests import run_durability, run_python  # noqa: E402

RUN = {"python": run_python, "node": run_node, "durability": run_durability}


def main():
    arguments = parse()
    if not namespace.inside():
        return namespace.enter([sys.executable, __file__, *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="thingstead-sdk-") as scratch:
        namespace.furnish(pathlib.Path(scratch))
        report = pathlib.Path(scratch) / "results.jsonl"
        os.environ["BEHAVIOURS_BINARY"] = str(arguments.binary.resolve())
        os.environ["BEHAVIOURS_SDK"] = str(arguments.sdk.resolve())
        os.environ["BEHAVIOURS_SCRATCH"] = scratch
        os.environ["BEHAVIOURS_RESULTS"] = str(report)
        ended = RUN[arguments.part](arguments.pick)
        return results.summarize(arguments.part, report, ended, picked=arguments.pick is not None)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=RUN)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--sdk", type=pathlib.Path, required=True)
    parser.add_argument("-k", dest="pick", help="only the behaviours whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
