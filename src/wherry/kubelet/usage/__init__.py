"""What containers and the machine use: measured when somebody asks, never otherwise."""
