SELECT granted.TABLE_NAME, granted.COLUMN_NAME
FROM information_schema.COLUMN_PRIVILEGES AS granted
WHERE granted.TABLE_SCHEMA = %(database)s
  AND NOT EXISTS (SELECT 1 FROM information_schema.TABLE_PRIVILEGES AS whole
                  WHERE whole.TABLE_SCHEMA = granted.TABLE_SCHEMA AND whole.TABLE_NAME = granted.TABLE_NAME
                    AND whole.PRIVILEGE_TYPE = 'SELECT')
  AND NOT EXISTS (SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES AS wider
                  WHERE granted.TABLE_SCHEMA LIKE wider.TABLE_SCHEMA AND wider.PRIVILEGE_TYPE = 'SELECT')
  AND NOT EXISTS (SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SELECT')
