-- A time that the server sets on insert and never again misses every later edit: such tables are read whole, known or not.
CREATE TABLE `dbmlog` (
  `DbmLogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserNum` bigint(20) NOT NULL,
  `FKey` bigint(20) NOT NULL,
  `FKeyType` tinyint(4) NOT NULL,
  `ActionType` tinyint(4) NOT NULL,
  `DateTimeEntry` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `MethodName` varchar(255) NOT NULL,
  `LogText` text NOT NULL,
  PRIMARY KEY (`DbmLogNum`),
  KEY `UserNum` (`UserNum`),
  KEY `FKey` (`FKey`)
) ENGINE=MyISAM;

CREATE TABLE `zz_note` (
  `NoteNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `SecDateTEntry` datetime NOT NULL DEFAULT current_timestamp(),
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp(),
  `Note` text NOT NULL,
  PRIMARY KEY (`NoteNum`),
  KEY `DateTStamp` (`DateTStamp`)
) ENGINE=MyISAM;
