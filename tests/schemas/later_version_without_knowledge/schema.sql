-- The same later version with the knowledge switched off: the rules alone choose the same replication keys.
-- knowledge: off
CREATE TABLE `patient` (
  `PatNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `LName` varchar(100) DEFAULT '',
  `Guarantor` bigint(20) NOT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `LoyaltyPlanNum` bigint(20) NOT NULL,
  `DateLoyaltyEnd` date NOT NULL DEFAULT '0001-01-01',
  PRIMARY KEY (`PatNum`)
) ENGINE=MyISAM;

CREATE TABLE `loyaltyplan` (
  `LoyaltyPlanNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `PatNumSponsor` bigint(20) NOT NULL,
  `SecUserNumEntry` bigint(20) NOT NULL,
  `SecDateTEntry` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `SecDateTEdit` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `PortalPassword` varchar(255) NOT NULL,
  PRIMARY KEY (`LoyaltyPlanNum`),
  KEY `SecDateTEdit` (`SecDateTEdit`)
) ENGINE=MyISAM;

CREATE TABLE `loyaltylog` (
  `LoyaltyLogNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `LoyaltyPlanNum` bigint(20) NOT NULL,
  `DateTimeEntry` datetime NOT NULL DEFAULT current_timestamp(),
  `LogText` text NOT NULL,
  PRIMARY KEY (`LoyaltyLogNum`)
) ENGINE=MyISAM;

CREATE TABLE `userod` (
  `UserNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `UserName` varchar(255) DEFAULT '',
  `IsHidden` tinyint(3) unsigned NOT NULL,
  PRIMARY KEY (`UserNum`)
) ENGINE=MyISAM;
