"""Keep uv.lock free of registry hosts: it pins versions and hashes, not where to fetch them.

python .ci/lockfile.py strip    after `uv lock`: replace every host by a reserved one (RFC 2606)
python .ci/lockfile.py check    exit 1, naming the line, where a host stands in uv.lock
"""

import re
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "uv.lock"
URL = re.compile(r'"https?://(?!registry\.invalid/)[^/"]+/')


def strip(text: str) -> str:
    """Return the lock with `registry.invalid` for every host."""
    return URL.sub('"https://registry.invalid/', text)


def main(verb: str) -> int:
    """Run one verb; return the exit code."""
    text = LOCK.read_text()
    if verb == "strip":
        LOCK.write_text(strip(text))
        return 0
    if verb == "check":
        bad = [i for i, line in enumerate(text.splitlines(), 1) if URL.search(line)]
        if bad:
            print(f"uv.lock must name no host, does on line {bad[0]}: run `make lock`")
        return 1 if bad else 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
