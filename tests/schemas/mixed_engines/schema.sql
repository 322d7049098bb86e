-- MyISAM, InnoDB, Aria and MEMORY side by side: only the first, third and fourth count rows exactly; the structure's hash does not see the engine.
CREATE TABLE `zz_myisam` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`)
) ENGINE=MyISAM;

CREATE TABLE `zz_innodb` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`)
) ENGINE=InnoDB;

CREATE TABLE `zz_aria` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`)
) ENGINE=Aria;

CREATE TABLE `zz_memory` (
  `Num` bigint(20) NOT NULL AUTO_INCREMENT,
  `Changed` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`Num`) USING BTREE
) ENGINE=MEMORY;

INSERT INTO `zz_myisam` (`Num`) VALUES (1), (2);

INSERT INTO `zz_aria` (`Num`) VALUES (1), (2), (3);
