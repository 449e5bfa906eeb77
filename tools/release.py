"""Makes a release of this checkout: version, date in the changelog, checks, wheel, commit and tag.

    python tools/release.py 0.2.0          # or: make release VERSION=0.2.0

CHANGELOG.md has to begin with `## 0.2.0 (unreleased)`, and nothing may be uncommitted. Nothing leaves this machine;
the last lines say how it goes out. What fails leaves the checkout as it was.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG, VERSION = ROOT / "CHANGELOG.md", ROOT / "nasfit" / "__init__.py"


def main() -> None:
    """Check, write, build, commit, tag."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.2.0")
    version = parser.parse_args().version
    if reason := refusal(version, CHANGELOG.read_text(), git("status", "--porcelain"), git("tag", "--list")):
        sys.exit(reason)
    before = {path: path.read_text() for path in (CHANGELOG, VERSION)}
    try:
        CHANGELOG.write_text(dated(before[CHANGELOG], version, datetime.date.today()))
        VERSION.write_text(re.sub(r'__version__ = "[^"]*"', f'__version__ = "{version}"', before[VERSION]))
        subprocess.run(["make", "check", "dist"], cwd=ROOT, check=True)
        git("commit", "--quiet", "--all", "--message", f"Version {version}")
        git("tag", "--annotate", f"v{version}", "--message", f"nasfit {version}")
    except BaseException:
        for path, text in before.items():
            path.write_text(text)
        raise
    print(f"version {version} is committed and tagged; to send it out:")
    print("  git push --follow-tags")
    print("  python -m twine upload dist/*")


def refusal(version: str, changelog: str, changes: str, tags: str) -> str | None:
    """Why there is no release of this version, None where there can be one."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return f"{version!r} is no version; give three numbers, such as 0.2.0"
    if f"v{version}" in tags.split():
        return f"version {version} has been released; give the next one"
    if f"\n## {version} (unreleased)\n" not in changelog:
        return f"CHANGELOG.md has no heading '## {version} (unreleased)'; write what is new below one"
    if changes.strip():
        return f"commit these first:\n{changes.rstrip()}"
    return None


def dated(changelog: str, version: str, day: datetime.date) -> str:
    """The changelog with the day of the release."""
    return changelog.replace(f"\n## {version} (unreleased)\n", f"\n## {version} ({day.isoformat()})\n")


def git(*words: str) -> str:
    """What git prints."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
