"""The compiler core: op algebra, trace, plan, and one pass for each rewrite."""
