"""What is in artifacts: their files, read for those who may see them, wherever they are."""
