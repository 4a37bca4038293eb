"""What the service answers. Routes only translate."""
