"""The layout of the page: one column on a phone, streams side by side on a wide screen."""

from __future__ import annotations

__all__ = ["LAYOUT"]

LAYOUT = """
.streams { column-width: 350px; column-gap: 14px; margin: 12px 0; }
figure { break-inside: avoid; margin-bottom: 14px; }
figure svg { max-width: 430px; }
svg a:hover text, svg a:focus text { text-decoration: underline; }
td { text-align: left; }
td p { margin: 0 0 2px; }
tr:target { outline: 2px solid var(--series-1); outline-offset: -2px; }
pre { overflow: auto; max-height: 60vh; padding: 12px; font-size: .8125rem;
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
@media (max-width: 719px) {
  td { display: block; text-align: left; }
  td::before { display: block; }
}
"""
