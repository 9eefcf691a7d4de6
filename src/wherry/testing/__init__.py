"""What tests of Wherry, and of things that plug into it, stand on."""
