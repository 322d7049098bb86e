-- Without the table preference nobody knows whether primary keys grow: append-only tables are read whole, and the reason says what is missing.
CREATE TABLE `securityloghash` (
  `SecurityLogHashNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `SecurityLogNum` bigint(20) NOT NULL,
  `LogHash` varchar(255) NOT NULL,
  PRIMARY KEY (`SecurityLogHashNum`),
  KEY `SecurityLogNum` (`SecurityLogNum`)
) ENGINE=MyISAM;

INSERT INTO `securityloghash` (`SecurityLogNum`, `LogHash`) SELECT seq, REPEAT('h', 250) FROM seq_1_to_6000;
