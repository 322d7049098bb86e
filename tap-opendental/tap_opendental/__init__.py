"""tap-opendental: reads an Open Dental database as Singer streams."""
