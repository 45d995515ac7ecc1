"""The layout of a report: one column on a phone, plots side by side on a wide screen."""

from __future__ import annotations

__all__ = ["LAYOUT"]

LAYOUT = """
.plots { display: flex; flex-wrap: wrap; gap: 14px; margin: 12px 0; }
figure { flex: 1 1 min(100%, 350px); min-width: 0; max-width: 500px; }
.outcomes { display: grid; gap: 14px; padding: 0; margin: 12px 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
.outcomes li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px; border-left: 4px solid var(--shade); }
.outcomes strong { display: block; font-size: 1.5rem; line-height: 1.25; }
@media print { .outcomes li { break-inside: avoid; } }
"""
