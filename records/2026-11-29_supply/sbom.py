"""Names, versions and licences of all installed packages, from their own metadata: `python sbom.py`.

Writes sbom.json (CycloneDX 1.6) and licences.md beside itself. Asks nobody: what a package says of itself is all there
is, and some say nothing.
"""

import json
import re
from collections import defaultdict
from importlib.metadata import Distribution, distributions
from pathlib import Path

PLACE = Path(__file__).parent


def licence(package: Distribution) -> str:
    """What a package says: its SPDX expression, its classifiers, or a short text."""
    about = package.metadata
    classifiers = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or [] if "License ::" in each]
    text = (about.get("License") or "").strip()
    short = text if text and len(text) < 60 and "\n" not in text else ""
    return (
        about.get("License-Expression") or " and ".join(sorted(set(classifiers) - {"OSI Approved"})) or short or "none"
    )


def main() -> None:
    """Write both files."""
    found = {}
    for package in distributions():
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        found.setdefault(name, (package.version, licence(package)))
    components = [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "licenses": [{"license": {"name": said}}],
        }
        for name, (version, said) in sorted(found.items())
    ]
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
    (PLACE / "sbom.json").write_text(json.dumps(sbom, indent=1) + "\n")
    groups = defaultdict(list)
    for name, (version, said) in sorted(found.items()):
        groups[said].append(f"{name} {version}")
    rows = [f"| {said} | {len(names)} | {', '.join(names)} |" for said, names in sorted(groups.items())]
    table = [
        "# Licences of what is installed",
        "",
        "| licence, as the package says | packages | which |",
        "|---|---|---|",
    ]
    (PLACE / "licences.md").write_text("\n".join([*table, *rows]) + "\n")
    print(f"{len(found)} packages, {len(groups)} licences")


if __name__ == "__main__":
    main()
