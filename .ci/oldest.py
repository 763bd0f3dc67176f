"""Print constraints: each dependency, and those of the users' extras, at the oldest version pyproject.toml allows.

`pip install -c` with them shows whether the promise is kept.
"""

import re
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

OTHERS = ("dev", "docs")  # extras of those who work on the package

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [line for name, lines in project["optional-dependencies"].items() if name not in OTHERS for line in lines]
for line in [*project["dependencies"], *extras]:
    found = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", line)
    if found is None:
        raise SystemExit(f"pyproject.toml: {line} has no lower bound alone")
    print("==".join(found.groups()))
