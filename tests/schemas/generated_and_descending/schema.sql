-- Generated columns and indexes of every kind (descending, prefix, unique, full text, hash) are read as facts; a generated time is no replication key.
CREATE TABLE `zz_generated` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Amount` decimal(10,2) NOT NULL DEFAULT 0.00,
  `Doubled` decimal(12,2) GENERATED ALWAYS AS (`Amount` * 2) VIRTUAL,
  `Words` text DEFAULT NULL,
  `Label` varchar(60) GENERATED ALWAYS AS (concat('no ', `Amount`)) STORED,
  `Happened` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `HappenedNext` datetime GENERATED ALWAYS AS (`Happened` + interval 1 day) STORED,
  `Changed` timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  PRIMARY KEY (`Num`),
  KEY `newest` (`Changed` DESC, `Num`),
  UNIQUE KEY `label` (`Label`),
  KEY `prefix` (`Words`(20)),
  FULLTEXT KEY `words` (`Words`)
) ENGINE=MyISAM;

CREATE TABLE `zz_hash` (
  `Num` bigint(20) NOT NULL,
  `Code` char(10) NOT NULL,
  PRIMARY KEY (`Num`) USING BTREE,
  KEY `code` (`Code`) USING HASH
) ENGINE=MEMORY;
