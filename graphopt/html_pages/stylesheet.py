"""The style of every page, on a phone and on a wide screen, light and dark, and on paper."""

from __future__ import annotations

__all__ = ["stylesheet"]

from graphopt.html_pages.palette import declarations

_RULES = """
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 1180px; padding: 20px 16px 48px; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.2rem; margin: 36px 0 4px; }
h3 { font-size: 1rem; margin: 20px 0 6px; }
p { margin: 4px 0 12px; max-width: 75ch; }
.muted, figcaption, dt { color: var(--muted); }
figure { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px; margin: 0; }
figcaption { font-size: .875rem; margin-top: 6px; }
figure h3 { margin: 0 0 6px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-family: inherit !important; }
svg * { stroke-linejoin: round; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; padding: 0;
  margin: 8px 0 0; font-size: .875rem; }
.legend span { display: inline-block; width: .75em; height: .75em; border-radius: 2px;
  margin-right: .4em; background: var(--shade); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.none { color: var(--muted); }
table { border-collapse: collapse; width: 100%; font-size: .875rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px 5px 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; }
th:first-child { text-align: left; }
summary { cursor: pointer; font-weight: 600; margin-top: 12px; }
dl { display: grid; gap: 6px 24px; margin: 8px 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
dd { margin: 0; }
dt { font-size: .875rem; }
@media (max-width: 719px) {
  body { padding: 16px 12px 40px; }
  figure { padding: 8px; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, th, td { display: block; }
  tr { padding: 8px 0; border-bottom: 1px solid var(--line); }
  th, td { border: 0; padding: 1px 0; text-align: left; }
  td { display: flex; justify-content: space-between; gap: 16px; text-align: right; }
  td::before { content: attr(data-label); color: var(--muted); text-align: left; }
  td:empty { display: none; }
}
@media print {
  body { max-width: none; padding: 0; }
  figure, tr { break-inside: avoid; }
}
"""


def stylesheet(rules: str = "") -> str:
    """The style sheet of a page, for light and dark screens.

    Args:
        rules: Those of this page alone.
    """
    return (
        f":root {{ {declarations(dark=False)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {declarations(dark=True)} }} }}\n"
        f"{_RULES.strip()}\n{rules.strip()}"
    )
