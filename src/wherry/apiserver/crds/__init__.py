"""Custom resource definitions: what they may say, and how what they define is served."""
