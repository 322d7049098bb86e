-- An event time is never a replication key, whatever its type, its index or its name: tables without a column that updates itself are read whole.
CREATE TABLE `deposit` (
  `DepositNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `DateDeposit` date NOT NULL DEFAULT '0001-01-01',
  `BankAccountInfo` text NOT NULL,
  `Amount` double NOT NULL DEFAULT 0,
  `Memo` varchar(255) DEFAULT NULL,
  `Batch` varchar(25) NOT NULL,
  `DepositAccountNum` bigint(20) NOT NULL,
  `IsSentToQuickBooksOnline` tinyint(4) NOT NULL,
  PRIMARY KEY (`DepositNum`)
) ENGINE=MyISAM;

CREATE TABLE `zz_visit` (
  `VisitNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `VisitDateTime` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `FollowUp` timestamp NULL DEFAULT NULL,
  PRIMARY KEY (`VisitNum`),
  KEY `VisitDateTime` (`VisitDateTime`)
) ENGINE=MyISAM;

INSERT INTO `zz_visit` (`VisitDateTime`, `FollowUp`) VALUES ('2031-01-01 09:00:00', NULL), ('2020-05-05 10:00:00', '2020-06-05 10:00:00');
