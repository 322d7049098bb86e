-- The same kind of tables after a conversion to InnoDB: sizes are marked as estimates, the choices stay.
CREATE TABLE `payment` (
  `PayNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PayType` bigint(20) NOT NULL,
  `PayDate` date NOT NULL DEFAULT '0001-01-01',
  `PayAmt` double NOT NULL DEFAULT 0,
  `PatNum` bigint(20) NOT NULL,
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`PayNum`),
  KEY `PatNum` (`PatNum`),
  KEY `SecDateTEdit` (`SecDateTEdit`)
) ENGINE=InnoDB;

CREATE TABLE `paysplit` (
  `SplitNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `SplitAmt` double NOT NULL DEFAULT 0,
  `PatNum` bigint(20) NOT NULL,
  `PayNum` bigint(20) NOT NULL,
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`SplitNum`),
  KEY `indexPayNum` (`PayNum`)
) ENGINE=InnoDB;

INSERT INTO `payment` (`PayType`, `PatNum`) VALUES (1, 1), (1, 2), (1, 3);
