-- A view is no table, a broken one neither: both are passed over without a word, and the tables beside them are analysed.
CREATE TABLE `zz_base` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`)
) ENGINE=MyISAM;

CREATE TABLE `zz_gone` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`Num`)
) ENGINE=MyISAM;

CREATE VIEW `zz_view` AS SELECT * FROM `zz_base`;

CREATE VIEW `zz_broken` AS SELECT * FROM `zz_gone`;

DROP TABLE `zz_gone`;
