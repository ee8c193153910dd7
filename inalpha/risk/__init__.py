"""Risk: rules as a file, controls as small files, one engine for backtest, paper and replay."""
