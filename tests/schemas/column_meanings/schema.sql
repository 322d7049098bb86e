-- Booleans, YN columns, ticks, durations, colours and sentinel dates are what the knowledge says; a tinyint(1) that nobody knows is no boolean.
CREATE TABLE `clockevent` (
  `ClockEventNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `EmployeeNum` bigint(20) NOT NULL,
  `TimeEntered1` datetime NOT NULL DEFAULT '0001-01-01 00:00:00',
  `ClockStatus` tinyint(3) unsigned NOT NULL,
  `OTimeHours` time NOT NULL,
  `Adjust` time NOT NULL,
  `AdjustIsOverridden` tinyint(4) NOT NULL,
  PRIMARY KEY (`ClockEventNum`)
) ENGINE=MyISAM;

CREATE TABLE `apptreminderrule` (
  `ApptReminderRuleNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `TypeCur` tinyint(4) NOT NULL,
  `TSPrior` bigint(20) NOT NULL,
  `IsSendAll` tinyint(4) NOT NULL,
  `ClinicNum` bigint(20) NOT NULL,
  PRIMARY KEY (`ApptReminderRuleNum`)
) ENGINE=MyISAM;

CREATE TABLE `screen` (
  `ScreenNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `HasCaries` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `NeedsSealants` tinyint(3) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`ScreenNum`)
) ENGINE=MyISAM;

CREATE TABLE `definition` (
  `DefNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Category` tinyint(3) unsigned NOT NULL DEFAULT 0,
  `ItemName` varchar(255) DEFAULT '',
  `ItemColor` int(11) NOT NULL DEFAULT 0,
  `IsHidden` tinyint(3) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`DefNum`)
) ENGINE=MyISAM;

CREATE TABLE `emailaddress` (
  `EmailAddressNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `EmailUsername` varchar(255) NOT NULL,
  `EmailPassword` varchar(255) NOT NULL,
  `AccessToken` varchar(2000) NOT NULL,
  PRIMARY KEY (`EmailAddressNum`)
) ENGINE=MyISAM;

CREATE TABLE `zz_flags` (
  `FlagNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `IsActive` tinyint(1) NOT NULL DEFAULT 0,
  `Level` tinyint(1) NOT NULL DEFAULT 0,
  `ExpiresOn` date NOT NULL DEFAULT '0001-01-01',
  `ZeroDate` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `Scan` longblob DEFAULT NULL,
  `Body` longtext DEFAULT NULL,
  `ApiKey` varchar(80) NOT NULL DEFAULT '',
  PRIMARY KEY (`FlagNum`)
) ENGINE=MyISAM;

INSERT INTO `zz_flags` (`IsActive`, `Level`) VALUES (0, 0), (1, 2);
