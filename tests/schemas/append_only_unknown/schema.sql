-- A table that looks append-only and that the knowledge does not know is read whole: nobody promised that its rows are never edited.
CREATE TABLE `preference` (
  `PrefName` varchar(255) NOT NULL DEFAULT '',
  `ValueString` text NOT NULL,
  `PrefNum` bigint(20) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`PrefNum`)
) ENGINE=MyISAM;

INSERT INTO `preference` (`PrefName`, `ValueString`) VALUES ('RandomPrimaryKeys', '0');

CREATE TABLE `zz_auditlog` (
  `AuditLogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `LogDateTime` datetime NOT NULL DEFAULT current_timestamp(),
  `LogText` text NOT NULL,
  PRIMARY KEY (`AuditLogNum`),
  KEY `LogDateTime` (`LogDateTime`)
) ENGINE=MyISAM;

INSERT INTO `zz_auditlog` (`LogDateTime`, `LogText`) SELECT '2024-01-01', REPEAT('t', 1000) FROM seq_1_to_1500;
