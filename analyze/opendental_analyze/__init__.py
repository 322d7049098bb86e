"""opendental-analyze: explains and operates the pipeline of an Open Dental database."""
