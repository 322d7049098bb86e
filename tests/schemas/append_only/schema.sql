-- Tables that the knowledge calls append-only are read by their primary key while RandomPrimaryKeys is off; below 1 MB they are read whole, and the key is recorded all the same.
CREATE TABLE `preference` (
  `PrefName` varchar(255) NOT NULL DEFAULT '',
  `ValueString` text NOT NULL,
  `PrefNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Comments` text DEFAULT NULL,
  PRIMARY KEY (`PrefNum`),
  KEY `PrefName` (`PrefName`)
) ENGINE=MyISAM;

INSERT INTO `preference` (`PrefName`, `ValueString`) VALUES ('PracticeTitle', 'A practice'), ('RandomPrimaryKeys', '0');

CREATE TABLE `securitylog` (
  `SecurityLogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PermType` smallint(6) NOT NULL,
  `UserNum` bigint(20) NOT NULL,
  `LogDateTime` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `LogText` text DEFAULT NULL,
  `PatNum` bigint(20) NOT NULL,
  `FKey` bigint(20) NOT NULL,
  `DateTPrevious` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  PRIMARY KEY (`SecurityLogNum`),
  KEY `LogDateTime` (`LogDateTime`)
) ENGINE=MyISAM;

INSERT INTO `securitylog` (`PermType`, `UserNum`, `LogDateTime`, `LogText`, `PatNum`, `FKey`)
SELECT 1, 1, '2024-01-01', REPEAT('t', 1000), seq, 0 FROM seq_1_to_1500;

CREATE TABLE `entrylog` (
  `EntryLogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserNum` bigint(20) NOT NULL,
  `FKeyType` tinyint(4) NOT NULL,
  `FKey` bigint(20) NOT NULL,
  `LogSource` tinyint(4) NOT NULL,
  `EntryDateTime` datetime NOT NULL,
  PRIMARY KEY (`EntryLogNum`)
) ENGINE=MyISAM;
