"""A private MariaDB and PostgreSQL with a synthetic practice, for a first look, for development and for tests."""
