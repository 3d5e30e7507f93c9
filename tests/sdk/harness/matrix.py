"""The two matrices: which cells there are, which behaviours run in each, and what is left out for a listed reason.

One is of clients of a hub, the other of devices that register; both are tables of cells and behaviours.
"""

import dataclasses
import fnmatch
import functools
import itertools
import pathlib

HERE = pathlib.Path(__file__).resolve().parent.parent
BEHAVIOURS = HERE / "behaviours.txt"
DIFFERENCES = HERE / "expected-differences.md"

LANGUAGES = ("python", "node")
TRANSPORTS = ("mqtt", "mqtt-ws", "amqp", "amqp-ws", "https")
CREDENTIALS = ("sas", "x509-self-signed", "x509-ca")
KINDS = ("device", "module")
# How a device that registers proves itself, by which slot or authority of its enrollment.
ATTESTATIONS = (
    "symmetric-individual",
    "symmetric-group",
    "x509-individual-primary",
    "x509-individual-secondary",
    "x509-group-root",
    "x509-group-intermediate",
)
REGISTRATION = "registration"
# The word of a behaviour's line, and the credentials and kinds of its cells.
MATRICES = {"matrix": (CREDENTIALS, KINDS), "provisioning": (ATTESTATIONS, (REGISTRATION,))}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One way to be a device: language of the SDK, transport, credential, device or module.

    Of a device that registers the credential is its attestation, and it is no device yet but a registration.
    """

    language: str
    transport: str
    credential: str
    kind: str

    @property
    def name(self):
        return f"{self.language} {self.transport} {self.credential} {self.kind}"

    @property
    def matrix(self):
        return next(name for name, (_, kinds) in MATRICES.items() if self.kind in kinds)

    def matches(self, pattern):
        """A pattern is four words, each a name with `*`, or several with commas between them."""
        words = pattern.split()
        if len(words) != 4:
            raise ValueError(f"`{pattern}` in {DIFFERENCES.name} is not a pattern of four words")
        return all(
            any(fnmatch.fnmatchcase(part, choice) for choice in word.split(","))
            for part, word in zip(dataclasses.astuple(self), words)
        )


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """A line of the list: the parts that show it, or its matrix with what a cell needs for it."""

    name: str
    parts: tuple
    needs: tuple
    matrix: str | None = None


@dataclasses.dataclass(frozen=True)
class Difference:
    """A line of the differences: these behaviours do not run in these cells, and why."""

    cells: str
    behaviours: str
    reason: str

    def covers(self, cell, behaviour):
        return (
            cell.matrix == behaviour.matrix
            and cell.matches(self.cells)
            and any(self.is_named(behaviour, word) for word in self.behaviours.split())
        )

    @staticmethod
    def is_named(behaviour, word):
        if word.startswith("needs:"):
            return word.removeprefix("needs:") in behaviour.needs
        return fnmatch.fnmatchcase(behaviour.name, word)


@functools.cache
def behaviours():
    """All lines of the list, in its order."""
    found = []
    for line in BEHAVIOURS.read_text().splitlines():
        fields = [field.strip() for field in line.split("|")]
        if line.startswith("#") or len(fields) != 3:
            continue
        words = fields[1].split()
        if words[0] in MATRICES:
            found.append(Behaviour(fields[0], (), tuple(words[1:]), words[0]))
        else:
            found.append(Behaviour(fields[0], tuple(words), ()))
    return found


@functools.cache
def differences():
    """The lines of the table that names cells: its first two columns stand in backticks."""
    found = []
    for line in DIFFERENCES.read_text().splitlines():
        fields = [field.strip() for field in line.strip("|").split("|")]
        if len(fields) == 3 and all(len(field) > 2 and field[0] == field[-1] == "`" for field in fields[:2]):
            found.append(Difference(fields[0][1:-1], fields[1][1:-1], fields[2]))
    return found


def listed(matrix):
    """The behaviours of one matrix."""
    return [behaviour for behaviour in behaviours() if behaviour.matrix == matrix]


def cells(language, matrix):
    """The whole grid of one language, whether its SDK has the cell or not."""
    grid = itertools.product(TRANSPORTS, *MATRICES[matrix])
    return [Cell(language, transport, credential, kind) for transport, credential, kind in grid]


def once(part):
    """Names of the behaviours that a part shows once, outside the matrix."""
    return [behaviour.name for behaviour in behaviours() if part in behaviour.parts]


def left_out(cell, behaviour):
    """The listed reason why this behaviour does not run in this cell."""
    return next((line.reason for line in differences() if line.covers(cell, behaviour)), None)


def plan(language, matrix):
    """Cells in which anything runs, each with the names of what runs in it."""
    lines = differences()
    planned = {}
    for cell in cells(language, matrix):
        names = [each.name for each in listed(matrix) if not any(line.covers(cell, each) for line in lines)]
        if names:
            planned[cell] = names
    return planned


def whole_plan(language):
    """The plans of all matrices."""
    return {cell: names for matrix in MATRICES for cell, names in plan(language, matrix).items()}


def stale_differences():
    """Lines that cover nothing: the list only shrinks, so such a line has to go."""
    pairs = [
        (cell, behaviour)
        for matrix in MATRICES
        for language in LANGUAGES
        for cell in cells(language, matrix)
        for behaviour in listed(matrix)
    ]
    return [line for line in differences() if not any(line.covers(*pair) for pair in pairs)]
