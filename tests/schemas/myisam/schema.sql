-- A small practice on MyISAM, as Open Dental creates it: row counts are exact, importance follows the roles, 0 is no reference.
CREATE TABLE `patient` (
  `PatNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `LName` varchar(100) DEFAULT '',
  `FName` varchar(100) DEFAULT '',
  `Birthdate` date NOT NULL DEFAULT '0001-01-01',
  `SSN` varchar(100) DEFAULT '',
  `Guarantor` bigint(20) NOT NULL,
  `PriProv` bigint(20) NOT NULL,
  `TxtMsgOk` tinyint(4) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`PatNum`),
  KEY `indexLName` (`LName`(10)),
  KEY `Guarantor` (`Guarantor`)
) ENGINE=MyISAM;

CREATE TABLE `procedurelog` (
  `ProcNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `AptNum` bigint(20) NOT NULL,
  `ProcDate` date NOT NULL DEFAULT '0001-01-01',
  `ProcFee` double NOT NULL DEFAULT 0,
  `ProcStatus` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `ProvNum` bigint(20) NOT NULL,
  `ProcNumLab` bigint(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`ProcNum`),
  KEY `indexPatNum` (`PatNum`),
  KEY `DateTStamp` (`DateTStamp`)
) ENGINE=MyISAM;

CREATE TABLE `commlog` (
  `CommlogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `CommDateTime` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `CommType` bigint(20) NOT NULL,
  `Note` text DEFAULT NULL,
  `UserNum` bigint(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`CommlogNum`),
  KEY `PatNum` (`PatNum`)
) ENGINE=MyISAM;

CREATE TABLE `appointment` (
  `AptNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `AptStatus` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `AptDateTime` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `NextAptNum` bigint(20) NOT NULL,
  `IsNewPatient` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`AptNum`),
  KEY `indexPatNum` (`PatNum`)
) ENGINE=MyISAM;

CREATE TABLE `provider` (
  `ProvNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Abbr` varchar(255) DEFAULT NULL,
  `IsHidden` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`ProvNum`)
) ENGINE=MyISAM;

CREATE TABLE `userod` (
  `UserNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserName` varchar(255) DEFAULT '',
  `Password` varchar(255) DEFAULT '',
  `IsHidden` tinyint(3) unsigned NOT NULL,
  PRIMARY KEY (`UserNum`)
) ENGINE=MyISAM;

INSERT INTO `provider` (`Abbr`) VALUES ('A'), ('B');

INSERT INTO `procedurelog` (`PatNum`, `AptNum`, `ProvNum`, `ProcNumLab`) SELECT seq % 7, 0, 1, 0 FROM seq_1_to_30000;
