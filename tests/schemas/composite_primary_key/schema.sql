-- A primary key of two columns identifies rows as well as one: it goes with a column that updates itself, is never taken for an append-only key, and no column of it is the key of that table for others.
CREATE TABLE `zz_provider_goals` (
  `ProvNum` bigint(20) NOT NULL,
  `Month` date NOT NULL,
  `Goal` decimal(12,2) NOT NULL DEFAULT 0.00,
  `Changed` datetime(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  PRIMARY KEY (`ProvNum`, `Month`)
) ENGINE=MyISAM;

CREATE TABLE `zz_goal_history` (
  `Month` date NOT NULL,
  `Seq` int(11) NOT NULL AUTO_INCREMENT,
  `ProvNum` bigint(20) NOT NULL,
  PRIMARY KEY (`Month`, `Seq`)
) ENGINE=MyISAM;

CREATE TABLE `provider` (
  `ProvNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `Abbr` varchar(255) DEFAULT NULL,
  `DateTStamp` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`ProvNum`)
) ENGINE=MyISAM;
