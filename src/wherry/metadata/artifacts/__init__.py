"""Where artifacts are: URIs, the paths at which steps see them, and the files behind them."""
