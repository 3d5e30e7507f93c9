"""What a run says about each behaviour: a line, a table of the matrix, and the sums."""

import json
import os

from . import matrix

REASON_CHARS = 400


def record(name, *, passed, seconds, text="", cell=None, phase=None):
    """Adds one result, of the behaviour or of a phase before or after it; called from the process that ran it."""
    row = {"name": name, "cell": cell, "passed": passed, "seconds": round(seconds, 2), "text": text, "phase": phase}
    # One unbuffered write, so that lines of processes that run side by side do not mix.
    with open(os.environ["BEHAVIOURS_RESULTS"], "ab", buffering=0) as out:
        out.write(f"{json.dumps(row)}\n".encode())


def summarize(part, report, ended, *, picked):
    """Prints each behaviour and the sum; returns the exit status. What is listed and did not run is a failure."""
    rows = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    tally = Tally()
    single(part, [row for row in rows if row["cell"] is None], tally, picked)
    if part in matrix.LANGUAGES:
        in_cells = [row for row in rows if row["cell"] is not None]
        for name in matrix.MATRICES:
            cells(part, name, [row for row in in_cells if words_of(name, row["cell"])], tally, picked)
        for line in matrix.stale_differences():
            tally.fail(f"{matrix.DIFFERENCES.name}: `{line.cells}` with `{line.behaviours}` covers nothing")
    if ended != 0 and tally.failed == 0:
        tally.fail(f"the test runner ended with {ended}")
    print(f"behaviours: {tally.passed} passed, {tally.failed} failed", flush=True)
    return 1 if tally.failed else 0


class Tally:
    """Counts, and says what failed."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def fail(self, text):
        self.failed += 1
        print(f"FAIL    {text}", flush=True)


def single(part, rows, tally, picked):
    """The behaviours that a part shows once."""
    names = matrix.once(part)
    for row in rows:
        if row["passed"] and row["name"] in names:
            tally.passed += 1
            print(f"ok   {row['seconds']:>6.2f} s  {part}: {row['name']}", flush=True)
        elif row["passed"]:
            tally.fail(f"{part}: {row['name']} is not in {matrix.BEHAVIOURS.name} for {part}")
        else:
            tally.fail(f"{row['seconds']:.2f} s  {part}: {row['name']}{error_of(row)}")
    for name in [] if picked else sorted(set(names) - {row["name"] for row in rows}):
        tally.fail(f"not run  {part}: {name}")


def error_of(row):
    """The error's own line, so that the sum of a long run says what happened and not only where."""
    lines = [line.strip() for line in row["text"].splitlines() if line.strip()]
    # pytest marks it; Node's errors begin with it.
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    phase = f"in its {row['phase']}: " if row.get("phase") else ""
    return f"\n        {phase}{(marked or lines)[0][:REASON_CHARS]}" if lines else ""


def words_of(name, cell):
    """Whether the cell of that name belongs to this matrix."""
    return cell.split()[-1] in matrix.MATRICES[name][1]


def cells(language, name, rows, tally, picked):
    """One matrix of one language: a table, and a line for each failure."""
    outcomes = {(row["cell"], row["name"]): row for row in rows}
    grid = matrix.cells(language, name)
    listed = matrix.listed(name)
    passed = failed = 0
    for behaviour in listed:
        for cell in grid:
            row = outcomes.pop((cell.name, behaviour.name), None)
            reason = matrix.left_out(cell, behaviour)
            if row is None:
                if reason is None and not picked:
                    failed += 1
                    tally.fail(f"not run  {cell.name}: {behaviour.name}")
            elif reason is not None:
                failed += 1
                tally.fail(f"{cell.name}: {behaviour.name} runs though it is listed as a difference")
            elif row["passed"]:
                passed += 1
                tally.passed += 1
            else:
                failed += 1
                tally.fail(f"{row['seconds']:.2f} s  {cell.name}: {behaviour.name}{error_of(row)}")
    for cell, behaviour in outcomes:
        failed += 1
        tally.fail(f"{cell}: {behaviour} is not a line of the {name} in {matrix.BEHAVIOURS.name}")
    if listed and (rows or not picked):
        table(f"{name} of {language}", grid, listed, {(row["cell"], row["name"]): row for row in rows})
    running = len(matrix.plan(language, name))
    seconds = sum(row["seconds"] for row in rows)
    print(
        f"{language}, {name}: {running} cells of {len(grid)} × {len(listed)} behaviours: "
        f"{passed} passed, {failed} failed, {len(grid) * len(listed) - passed - failed} left out for a listed reason; "
        f"{seconds:.0f} s of behaviours",
        flush=True,
    )


def table(title, grid, listed, outcomes):
    """A row per behaviour, a column per cell that runs anything: passed `+`, failed `F`, a listed difference `.`."""
    shown = [cell for cell in grid if any(matrix.left_out(cell, behaviour) is None for behaviour in listed)]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    print(f"\nThe {title}: + passed, F failed, ? not run, . listed in {matrix.DIFFERENCES.name}")
    for letter, cell in zip(letters, shown):
        print(f"  {letter}  {cell.transport:8} {cell.credential:26} {cell.kind}")
    width = max(len(behaviour.name) for behaviour in listed)
    print(f"  {'':{width}}  {' '.join(letters[: len(shown)])}  slowest")
    for behaviour in listed:
        rows = [outcomes.get((cell.name, behaviour.name)) for cell in shown]
        marks = [mark(row, cell, behaviour) for row, cell in zip(rows, shown)]
        slowest = max((row["seconds"] for row in rows if row), default=0)
        print(f"  {behaviour.name:{width}}  {' '.join(marks)}  {slowest:5.2f} s")
    print(flush=True)


def mark(row, cell, behaviour):
    if row is None:
        return "." if matrix.left_out(cell, behaviour) is not None else "?"
    return "+" if row["passed"] else "F"
