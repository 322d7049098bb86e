-- A column whose target depends on another column is named as polymorphic, in known and unknown tables (FKey with FKeyType); targets are listed only where the documents name them all (task.KeyNum).
CREATE TABLE `task` (
  `TaskNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `TaskListNum` bigint(20) NOT NULL,
  `KeyNum` bigint(20) NOT NULL,
  `ObjectType` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `UserNum` bigint(20) NOT NULL,
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`TaskNum`)
) ENGINE=MyISAM;

CREATE TABLE `tasklist` (
  `TaskListNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Descript` varchar(255) DEFAULT '',
  `Parent` bigint(20) NOT NULL,
  PRIMARY KEY (`TaskListNum`)
) ENGINE=MyISAM;

CREATE TABLE `patient` (
  `PatNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Guarantor` bigint(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`PatNum`)
) ENGINE=MyISAM;

CREATE TABLE `appointment` (
  `AptNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`AptNum`)
) ENGINE=MyISAM;

CREATE TABLE `dbmlog` (
  `DbmLogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserNum` bigint(20) NOT NULL,
  `FKey` bigint(20) NOT NULL,
  `FKeyType` tinyint(4) NOT NULL,
  PRIMARY KEY (`DbmLogNum`)
) ENGINE=MyISAM;

CREATE TABLE `userod` (
  `UserNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserName` varchar(255) DEFAULT '',
  PRIMARY KEY (`UserNum`)
) ENGINE=MyISAM;

CREATE TABLE `zz_link` (
  `LinkNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `FKey` bigint(20) NOT NULL,
  `FKeyType` tinyint(4) NOT NULL,
  PRIMARY KEY (`LinkNum`)
) ENGINE=MyISAM;
