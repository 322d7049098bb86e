-- Two tables whose names differ only in case are two tables, in the analysis and in tables.yml.
CREATE TABLE `recall` (
  `RecallNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`RecallNum`)
) ENGINE=MyISAM;

CREATE TABLE `Recall` (
  `Code` varchar(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`Code`)
) ENGINE=MyISAM;
