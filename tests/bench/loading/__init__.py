"""How fast each tool loads Open Dental's tables into PostgreSQL or a MySQL replica, and what each gets wrong."""
