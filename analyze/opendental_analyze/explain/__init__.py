"""`opendental analyze`: what a source is, how it will be read, and why."""
