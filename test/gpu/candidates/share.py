"""Copies the shared parts into the candidates: a candidate is one file, and has what it shares between two marks.

Usage: python3 test/gpu/candidates/share.py          rewrites the parts between `# shared: NAME` and `# end of NAME`
       python3 test/gpu/candidates/share.py --check  says which candidates differ, and exits with 1
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARKED = re.compile(r"^# shared: (\w+)\n(?:.*?^# end of \1\n)?", re.DOTALL | re.MULTILINE)


def fill(text: str) -> str:
    """A candidate's text with its shared parts as they stand in `shared/`."""

    def part(match: re.Match[str]) -> str:
        name = match.group(1)
        text = (HERE / "shared" / f"{name}.py").read_text(encoding="utf8")
        # What stands before the first kernel are imports, which the candidate has.
        body = text[text.index("@triton.jit") :].strip("\n")
        return f"# shared: {name}\n\n\n{body}\n\n\n# end of {name}\n"

    return MARKED.sub(part, text)


def main() -> int:
    """All candidates."""
    different = []
    for path in sorted([*HERE.glob("kernelbench/*/*.py"), *HERE.glob("aten/*.py")]):
        text = path.read_text(encoding="utf8")
        filled = fill(text)
        if filled != text:
            different.append(path.relative_to(HERE))
            if "--check" not in sys.argv:
                path.write_text(filled, encoding="utf8")
    if "--check" in sys.argv and different:
        print("these differ from shared/: " + ", ".join(map(str, different)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
