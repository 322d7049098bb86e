-- With RandomPrimaryKeys = 1 no primary key grows: the tables that are append-only otherwise are read whole, and their reason says so.
CREATE TABLE `preference` (
  `PrefName` varchar(255) NOT NULL DEFAULT '',
  `ValueString` text NOT NULL,
  `PrefNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Comments` text DEFAULT NULL,
  PRIMARY KEY (`PrefNum`),
  KEY `PrefName` (`PrefName`)
) ENGINE=MyISAM;

INSERT INTO `preference` (`PrefName`, `ValueString`) VALUES ('RandomPrimaryKeys', '1');

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

INSERT INTO `securitylog` (`SecurityLogNum`, `PermType`, `UserNum`, `LogDateTime`, `LogText`, `PatNum`, `FKey`)
SELECT 5000000 - seq, 1, 1, '2024-01-01', REPEAT('t', 1000), seq, 0 FROM seq_1_to_1500;
