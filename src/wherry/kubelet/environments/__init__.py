"""Images as Python environments: the kind `Environment`, its builds, and which image gets which."""
