"""The layout of a report: one column on a phone, plots side by side on a wide screen.

No plot is left alone in a row at part of its width. A wide screen has rows of three, and one or two
rows of two where three do not divide the plots. A plot that must be alone, as the only one or as an
odd one of two columns, takes the whole row: its words stand on the left, the drawing on the right.
"""

from __future__ import annotations

__all__ = ["LAYOUT"]

LAYOUT = """
.plots { display: grid; gap: 14px; margin: 12px 0; grid-template-columns: minmax(0, 1fr); }
figure svg { max-width: 500px; }
@media (min-width: 760px) and (max-width: 1119px) {
  .plots { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .plots figure:last-child:nth-child(odd) { grid-column: 1 / -1; }
}
@media (min-width: 1120px) {
  .plots { grid-template-columns: repeat(6, minmax(0, 1fr)); }
  .plots figure { grid-column: span 2; }
  .plots figure:last-child:nth-child(3n + 2), .plots figure:nth-last-child(2):nth-child(3n + 1),
  .plots figure:last-child:nth-child(3n + 4), .plots figure:nth-last-child(2):nth-child(3n),
  .plots figure:nth-last-child(3):nth-child(3n + 2),
  .plots figure:nth-last-child(4):nth-child(3n + 1) { grid-column: span 3; }
  .plots figure:only-child { grid-column: 1 / -1; }
}
@media (min-width: 760px) {
  .plots figure:only-child { display: grid; column-gap: 24px; align-content: start;
    grid-template-columns: minmax(0, 1fr) minmax(0, 500px);
    grid-template-rows: auto auto auto 1fr; }
  .plots figure:only-child > svg { grid-column: 2; grid-row: 1 / 5; }
  .plots figure:only-child > :not(svg) { grid-column: 1; }
}
@media (min-width: 760px) and (max-width: 1119px) {
  .plots figure:last-child:nth-child(odd) { display: grid; column-gap: 24px;
    align-content: start; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    grid-template-rows: auto auto auto 1fr; }
  .plots figure:last-child:nth-child(odd) > svg { grid-column: 2; grid-row: 1 / 5; }
  .plots figure:last-child:nth-child(odd) > :not(svg) { grid-column: 1; }
}
.outcomes { display: flex; flex-wrap: wrap; gap: 14px; padding: 0; margin: 12px 0;
  list-style: none; }
.outcomes li { flex: 1 1 min(100%, 260px); padding: 12px; background: var(--panel);
  border: 1px solid var(--line); border-radius: 8px; border-left: 4px solid var(--shade); }
.outcomes strong { display: block; font-size: 1.5rem; line-height: 1.25; }
@media print { .outcomes li { break-inside: avoid; } }
"""
