-- A copied timestamp is judged by what it does, not by its name: one that lost ON UPDATE (MySQL's CREATE TABLE AS) is a dead copy, one that kept it (MariaDB's) is alive and needs a primary key.
CREATE TABLE `recall` (
  `RecallNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNum` bigint(20) NOT NULL,
  `DateDue` date NOT NULL DEFAULT '0001-01-01',
  `Note` text DEFAULT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `RecallTypeNum` bigint(20) NOT NULL,
  PRIMARY KEY (`RecallNum`),
  KEY `PatNum` (`PatNum`)
) ENGINE=MyISAM;

INSERT INTO `recall` (`PatNum`, `DateDue`, `Note`, `RecallTypeNum`) VALUES (1, '2024-01-01', '', 1), (2, '2024-02-01', '', 1);


CREATE TABLE `recall_by_mariadb` (PRIMARY KEY (`RecallNum`)) AS SELECT * FROM `recall`;

CREATE TABLE `recall_by_mariadb_keyless` AS SELECT * FROM `recall`;

CREATE TABLE `recall_by_mysql` (
  `RecallNum` bigint(20) NOT NULL DEFAULT 0,
  `PatNum` bigint(20) NOT NULL,
  `DateDue` date NOT NULL DEFAULT '0001-01-01',
  `Note` text DEFAULT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp(),
  `RecallTypeNum` bigint(20) NOT NULL,
  PRIMARY KEY (`RecallNum`)
) ENGINE=MyISAM;

CREATE TABLE `recall_20240401` (
  `RecallNum` bigint(20) NOT NULL DEFAULT 0,
  `PatNum` bigint(20) NOT NULL,
  `DateDue` date NOT NULL DEFAULT '0001-01-01',
  `Note` text DEFAULT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',
  `RecallTypeNum` bigint(20) NOT NULL
) ENGINE=MyISAM;

INSERT INTO `recall_by_mysql` SELECT * FROM `recall`;

CREATE TABLE `zz_stock` (
  `StockNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`StockNum`)
) ENGINE=MyISAM;

CREATE TABLE `zz_stock_old` (
  `StockNum` bigint(20) NOT NULL DEFAULT 0,
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`StockNum`)
) ENGINE=MyISAM;
