-- A table is read by its key from 1 MB on, and whole below; the key is recorded whatever the size gives; the size is data and indexes together.
CREATE TABLE `zz_small` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Note` varchar(1000) NOT NULL,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`)
) ENGINE=MyISAM;

CREATE TABLE `zz_large` LIKE `zz_small`;

CREATE TABLE `zz_large_without_stamp` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Note` varchar(1000) NOT NULL,
  PRIMARY KEY (`Num`)
) ENGINE=MyISAM;

CREATE TABLE `zz_large_by_its_indexes` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Code` int(11) NOT NULL,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`),
  KEY `Code` (`Code`)
) ENGINE=MyISAM;

INSERT INTO `zz_small` (`Note`) SELECT REPEAT('n', 1000) FROM seq_1_to_900;

INSERT INTO `zz_large` (`Note`) SELECT REPEAT('n', 1000) FROM seq_1_to_1100;

INSERT INTO `zz_large_without_stamp` (`Note`) SELECT REPEAT('n', 1000) FROM seq_1_to_1100;

INSERT INTO `zz_large_by_its_indexes` (`Code`) SELECT seq FROM seq_1_to_30000;
