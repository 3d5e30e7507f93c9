"""The list of behaviours, and what a run says about each."""

import json
import os
import pathlib

LIST = pathlib.Path(__file__).resolve().parent.parent / "behaviours.txt"


def listed(part):
    """Names of the behaviours that a part has to show, in the order of the list."""
    names = []
    for line in LIST.read_text().splitlines():
        fields = [field.strip() for field in line.split("|")]
        if line.startswith("#") or len(fields) != 3:
            continue
        if part in fields[1].split():
            names.append(fields[0])
    return names


def record(name, *, passed, seconds, text=""):
    """Adds one result; called from the process that ran the behaviour."""
    row = {"name": name, "passed": passed, "seconds": round(seconds, 2), "text": text}
    with open(os.environ["BEHAVIOURS_RESULTS"], "a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


def summarize(part, report, ended, *, picked):
    """Prints each behaviour and the sum; returns the exit status. What is listed and did not run is a failure."""
    rows = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    names = listed(part)
    failed = 0
    passed = 0
    for row in rows:
        good = row["passed"] and row["name"] in names
        passed += good
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {row['seconds']:>6.2f} s  {part}: {row['name']}", flush=True)
        if row["passed"] and not good:
            print(f"     it is not in {LIST.name} for {part}", flush=True)
    missing = [] if picked else [name for name in names if name not in {row["name"] for row in rows}]
    for name in missing:
        print(f"FAIL    not run  {part}: {name}", flush=True)
    failed += len(missing)
    if ended != 0 and failed == 0:
        print(f"FAIL    the test runner ended with {ended}", flush=True)
        failed = 1
    print(f"behaviours: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
