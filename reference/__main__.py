"""Write the pages of the reference: ``python -m reference``."""

from __future__ import annotations

from .files import FILES, ROOT

for name, text in FILES.items():
    (ROOT / name).write_text(text())
    print(f"wrote {name}")
