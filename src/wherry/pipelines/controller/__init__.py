"""The controller of runs: it reads, has the walk decide, writes rows, and makes and harvests pods."""
