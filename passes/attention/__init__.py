"""How attention is written: heads that are split off and joined, and which spelling is faster."""
